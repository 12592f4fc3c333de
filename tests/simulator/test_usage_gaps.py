"""Costs minus usage at list price: nothing on ordinary days, and exactly what was planted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import PLANTABLE, Cause, GapPart, Scenario, load_scenario
from finops_pipeline.simulator.catalogue import USAGE_ENDPOINTS
from finops_pipeline.simulator.usage import ENDPOINTS

MILLION = Decimal(1_000_000)

# OpenAI's list prices in USD, for a million tokens: input, cached input, output, cache writes.
LIST = {
    "gpt-4o-2024-08-06": ("2.50", "1.25", "10.00", "0"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.60", "0"),
    "gpt-4.1-2025-04-14": ("2.00", "0.50", "8.00", "0"),
    "gpt-4.1-mini-2025-04-14": ("0.40", "0.10", "1.60", "0"),
    "gpt-4.1-nano-2025-04-14": ("0.10", "0.025", "0.40", "0"),
    "gpt-5-2025-08-07": ("1.25", "0.125", "10.00", "0"),
    "gpt-5-mini-2025-08-07": ("0.25", "0.025", "2.00", "0"),
    "gpt-5-nano-2025-08-07": ("0.05", "0.005", "0.40", "0"),
    "gpt-5.4-2026-03-05": ("2.50", "0.25", "15.00", "3.125"),
    "o3-2025-04-16": ("2.00", "0.50", "8.00", "0"),
    "o4-mini-2025-04-16": ("1.10", "0.275", "4.40", "0"),
    "text-embedding-3-small": ("0.02", "0", "0", "0"),
}
WHISPER_SECOND = Decimal("0.0001")

Amounts = dict[tuple[date, str | None], Decimal]


def worth(row: dict[str, Any]) -> Decimal:
    """A usage row at list price; 0 where no list has it."""
    if row["model"] == "whisper-1":
        return int(row["seconds"]) * WHISPER_SECOND
    prices = [Decimal(price) for price in LIST.get(row["model"], ("0",) * 4)]
    cached = row.get("input_cached_tokens", 0)
    written = row.get("input_cache_write_tokens", 0)
    plain = row.get("input_tokens", 0) - cached - written
    counts = (plain, cached, row.get("output_tokens", 0), written)
    return sum((n * price for n, price in zip(counts, prices, strict=True)), Decimal(0)) / MILLION


def used(company: Any, start: date, end: date, *, refused: int | None = None) -> Amounts:
    """What usage is worth at list price by day and project, read over HTTP."""
    amounts: Amounts = defaultdict(Decimal)
    for endpoint in USAGE_ENDPOINTS:
        params = [("start_time", company.unix(start)), ("end_time", company.unix(end))]
        params += [("group_by[]", name) for name in ENDPOINTS[endpoint].dimensions]
        page = None
        while True:
            asked = [*params, ("limit", 31), *([("page", page)] if page else [])]
            answer = company.get(f"/organization/usage/{endpoint}", params=asked)
            if refused is not None and endpoint == "audio_transcriptions":
                assert answer.status_code == refused
                break
            for bucket in answer.json()["data"]:
                day = start + timedelta(days=(bucket["start_time"] - company.unix(start)) // 86_400)
                for row in bucket["results"]:
                    if "model" in row:
                        amounts[day, row["project_id"]] += worth(row)
            page = answer.json()["next_page"]
            if not page:
                break
    return amounts


def billed(company: Any, start: date, end: date) -> Amounts:
    amounts: Amounts = defaultdict(Decimal)
    for total in company.control.totals(start=start, end=end):
        amounts[total.day, total.project_id] += total.amount
    return amounts


def small(*causes: Cause) -> Scenario:
    return Scenario.gapped(*causes, days=30, projects=4)  # type: ignore[arg-type]


def differences(company: Any, *, refused: int | None = None) -> Amounts:
    scenario = company.server.scenario
    start, end = scenario.start, date(2026, 11, 1)
    costs, usage = billed(company, start, end), used(company, start, end, refused=refused)
    return {
        key: difference
        for key in costs | usage
        if abs(difference := costs.get(key, Decimal(0)) - usage.get(key, Decimal(0))) > 0
    }


def by_project_day(parts: list[GapPart]) -> Amounts:
    sums: Amounts = defaultdict(Decimal)
    for part in parts:
        sums[part.day, part.project_id] += part.amount
    return sums


def agree(found: Amounts, expected: Amounts) -> None:
    """Equal but for the 18th place, at which each billed row is rounded."""
    for key in found | expected:
        difference = found.get(key, Decimal(0)) - expected.get(key, Decimal(0))
        assert abs(difference) < Decimal("1e-15"), key


def test_list_price_times_usage_is_the_bill_to_the_last_digit(
    open_company: Callable[[Scenario], Any],
) -> None:
    company = open_company(small())
    assert len(billed(company, company.server.scenario.start, date(2026, 11, 1))) == 120
    assert differences(company) == {}
    assert company.control.gaps() == []


@pytest.mark.parametrize("cause", PLANTABLE)
def test_a_planted_gap_is_the_whole_difference(
    open_company: Callable[[Scenario], Any], cause: Cause
) -> None:
    company = open_company(small(cause))
    parts = company.control.gaps()
    assert {part.cause for part in parts} == {cause}
    agree(
        differences(company, refused=404 if cause == "refused_endpoint" else None),
        by_project_day(parts),
    )


def test_all_gaps_at_once_add_up(open_company: Callable[[Scenario], Any]) -> None:
    company = open_company(small(*PLANTABLE))
    parts = company.control.gaps()
    assert {part.cause for part in parts} == set(PLANTABLE)
    agree(differences(company, refused=404), by_project_day(parts))


def test_signs_are_those_of_costs_minus_usage(open_company: Callable[[Scenario], Any]) -> None:
    parts = open_company(small(*PLANTABLE)).control.gaps()
    negative = {part.cause for part in parts if part.amount < 0}
    assert negative == {
        "complimentary_tokens",
        "negotiated_rate",
        "used_without_bill",
        "across_midnight",
        "other_rate",  # batch and flex; priority and long context are above the list
    }
    moved = [part for part in parts if part.cause == "across_midnight"]
    assert [part.amount for part in moved[1::2]] == [-part.amount for part in moved[::2]]
    assert all(
        after.day - before.day == timedelta(days=1)
        for before, after in zip(moved[::2], moved[1::2], strict=True)
    )


def planted(**gap: Any) -> dict[str, Any]:
    return {
        "start": "2026-01-01",
        "now": "2026-02-01T00:00:00Z",
        "organizations": [
            {
                "id": "org-1",
                "name": "One",
                "admin_keys": ["sk-admin-one"],
                "projects": [{"id": "proj_1", "uses": ["gpt-4o-2024-08-06"], "api_keys": 2}],
                "gaps": [
                    {
                        "project_id": "proj_1",
                        "offer": "gpt-4o-2024-08-06",
                        "start": "2026-01-06",
                        "end": "2026-01-08",
                    }
                    | gap
                ],
            }
        ],
    }


def test_a_gap_can_concern_a_share_of_the_quantity(
    open_company: Callable[[Scenario], Any],
) -> None:
    company = open_company(
        Scenario.model_validate(planted(cause="billed_without_usage", share="0.049"))
    )
    parts = company.control.gaps()
    assert {part.day for part in parts} == {date(2026, 1, 6), date(2026, 1, 7)}
    costs = billed(company, date(2026, 1, 6), date(2026, 1, 8))
    for part in parts:
        share = part.amount / costs[part.day, "proj_1"]
        assert abs(share - Decimal("0.049")) < Decimal("1e-5")


def test_a_double_charge_is_two_rows_and_complimentary_tokens_one_at_nothing(
    open_company: Callable[[Scenario], Any],
) -> None:
    rows = {}
    for cause in ("double_charge", "complimentary_tokens"):
        company = open_company(Scenario.model_validate(planted(cause=cause)))
        rows[cause] = company.rows(date(2026, 1, 6))
        items = {(row["line_item"], row["api_key_id"]) for row in rows[cause]}
        assert 4 < len(items) <= 6
        assert len(rows[cause]) == len(items) * (2 if cause == "double_charge" else 1)
    assert {row["amount"]["value"] for row in rows["complimentary_tokens"]} == {0}
    assert all(row["quantity"] > 0 for row in rows["complimentary_tokens"])
    hidden = Scenario.model_validate(planted(cause="complimentary_tokens", shown=False))
    assert open_company(hidden).rows(date(2026, 1, 6)) == []


@pytest.mark.parametrize(
    ("cause", "bills", "uses"),
    [
        ("other_rate", 1, {0: 1}),
        ("complimentary_tokens", 1, {0: 1}),
        ("negotiated_rate", 1, {0: 1}),
        ("across_midnight", 1, {1: 1}),
        ("double_charge", 2, {0: 1}),
        ("billed_without_usage", 1, {}),
        ("used_without_bill", 0, {0: 1}),
    ],
)
def test_bill_and_usage_show_the_quantities_that_the_cause_says(
    open_company: Callable[[Scenario], Any], cause: Cause, bills: int, uses: dict[int, int]
) -> None:
    """``uses``: days after the bill's day → how many times what is consumed."""
    day = date(2026, 1, 6)
    model = "gpt-4.1-nano-2025-04-14"
    gap = {"cause": cause, "end": "2026-01-07", "offer": model}
    if cause == "other_rate":
        gap["offer"] = f"batch | {model}"
    if cause == "negotiated_rate":
        gap["rate"] = "0.9"

    def told(scenario: dict[str, Any]) -> tuple[int, dict[int, int]]:
        company = open_company(Scenario.model_validate(scenario))
        billed_tokens = sum(
            row["quantity"] for row in company.rows(day) if model in row["line_item"]
        )
        params = [("start_time", company.unix(day)), ("group_by[]", "model"), ("limit", 3)]
        answer = company.get("/organization/usage/completions", params=params).json()
        return billed_tokens, {
            after: row["input_tokens"] + row["output_tokens"]
            for after, bucket in enumerate(answer["data"])
            for row in bucket["results"]
            if row["model"] == model
        }

    # The same offer, at the usual rate.
    plain, _ = told(
        planted(cause="negotiated_rate", rate="1", end="2026-01-07", offer=gap["offer"])
    )
    assert plain > 0
    assert told(planted(**gap)) == (plain * bills, {after: plain * n for after, n in uses.items()})


def test_an_offer_of_the_gap_alone_changes_no_other_quantity(
    open_company: Callable[[Scenario], Any],
) -> None:
    gap = planted(cause="unknown_model", offer="gpt-6-preview-2026-10-01")
    plain = {**gap, "organizations": [{**gap["organizations"][0], "gaps": []}]}
    with_gap, without = (
        open_company(Scenario.model_validate(scenario)) for scenario in (gap, plain)
    )
    for day in (date(2026, 1, 5), date(2026, 1, 6)):
        assert [
            row for row in with_gap.rows(day) if not row["line_item"].startswith("gpt-6")
        ] == without.rows(day)
    assert len(with_gap.rows(date(2026, 1, 6))) == len(without.rows(date(2026, 1, 6))) + 2


def test_fees_credits_and_tiers_of_the_demo_are_gaps_too(unchanging: Any) -> None:
    end = unchanging.now.date()
    for organization in unchanging.server.scenario.organizations:
        parts = unchanging.control.gaps(organization.id)
        assert {part.cause for part in parts} == {"other_rate", "tool_fee", "charge"}
        assert {part.day for part in parts} <= {
            total.day for total in unchanging.control.totals(organization.id, end=end)
        }
    day = date(2026, 3, 10)
    assert {part.day for part in unchanging.control.gaps(None, day, day + timedelta(days=1))} == {
        day
    }


@pytest.mark.parametrize(("method", "path"), [("GET", "gaps"), ("POST", "restate_usage")])
def test_control_of_usage_needs_the_token(unchanging: Any, method: str, path: str) -> None:
    url = unchanging.server.base_url.replace("/v1", f"/control/{path}")
    assert unchanging.http.request(method, url, json={}).status_code == 401


def test_gaps_survive_the_way_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gaps.json"
    scenario = Scenario.gapped(*PLANTABLE, projects=3)
    path.write_text(scenario.model_dump_json(), encoding="utf-8")
    assert load_scenario(path) == scenario


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        ({"cause": "negotiated_rate"}, "a rate belongs to"),
        ({"cause": "double_charge", "rate": "2"}, "a rate belongs to"),
        ({"cause": "tool_fee"}, "no tool_fee by its nature"),
        ({"cause": "double_charge", "project_id": "proj_2"}, "no project proj_2"),
        ({"cause": "double_charge", "share": "1.5"}, "share"),
        ({"cause": "double_charge", "share": 0.5}, "quoted text"),
        ({"cause": "double_charge", "offer": "gpt-0"}, "is nothing that can be used"),
        ({"cause": "moonlight"}, "cause"),
    ],
)
def test_a_gap_that_cannot_be_planted_is_refused(
    tmp_path: Path, gap: dict[str, Any], says: str
) -> None:
    path = tmp_path / "gap.json"
    path.write_text(json.dumps(planted(**gap)), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        load_scenario(path)
