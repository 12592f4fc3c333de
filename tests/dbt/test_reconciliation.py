"""What a difference consists of: every planted gap by its name, the rest as unexplained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.simulator import PLANTABLE, GapPart, Scenario
from tests.workplace import Workplace, opened_workplace

END = date(2026, 11, 1)
HAIR = Decimal("1e-9")

VERIFIED = {
    "other_rate": {"batch_rate", "flex_rate", "priority_rate", "long_context_rate"},
    "tool_fee": {"non_token_cost"},
    "unknown_model": {"unpriced_model"},
    "complimentary_tokens": {"complimentary_tokens"},
    "negotiated_rate": {"override_rate"},
    "across_midnight": {"moved_across_midnight"},
    "silent_endpoint": {"endpoint_without_rows"},
    "refused_endpoint": {"endpoint_without_rows"},
}
UNEXPLAINED = {
    "double_charge": "billed_without_usage",
    "unlisted_rate": "unknown_rate",
    "billed_without_usage": "billed_without_usage",
    "used_without_bill": "used_without_bill",
}
Amounts = dict[tuple[Any, ...], Decimal]


# A fifth less than the list's 2.00, 0.50 and 8.00.
AGREED = """\
prices:
  - model: gpt-4.1
    per: 1_000_000 tokens
    prices: {input: 1.60, cached_input: 0.40, output: 6.40}
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((30, 12), id="a month"),
        pytest.param((90, 20), id="a quarter", marks=pytest.mark.soak),
    ],
)
def gapped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workplace]:
    """Days of projects; the first ten have a gap each, the others have none of their own."""
    days, projects = request.param
    scenario = Scenario.gapped(*PLANTABLE, days=days, projects=projects, end=END)
    folder = tmp_path_factory.mktemp("gapped")
    price_file = folder / "prices.yaml"
    price_file.write_text(AGREED, encoding="utf-8")
    with opened_workplace(
        scenario, folder, start_date=scenario.start, price_file=price_file
    ) as workplace:
        workplace.collect(scenario.start, END - timedelta(days=1))
        workplace.build()
        yield workplace


@pytest.fixture(scope="module")
def planted(gapped: Workplace) -> list[GapPart]:
    return gapped.server.control.gaps(end=END)


def summed(gaps: list[GapPart]) -> Amounts:
    sums: Amounts = defaultdict(Decimal)
    for gap in gaps:
        sums[gap.day, gap.project_id] += gap.amount
    return {key: amount for key, amount in sums.items() if amount}


def agree(found: Amounts, expected: Amounts) -> None:
    wrong = {
        key: (found.get(key), expected.get(key))
        for key in found | expected
        if abs(found.get(key, Decimal(0)) - expected.get(key, Decimal(0))) > HAIR
    }
    assert wrong == {}


def parts(workplace: Workplace, where: str) -> Amounts:
    return {
        tuple(key): amount
        for *key, amount in workplace.marts(
            "SELECT cost_date, openai_project_id, sum(amount) FROM fct_reconciliation_parts"
            f" WHERE {where} GROUP BY ALL"
        )
    }


@pytest.mark.parametrize("cause", [cause for cause in VERIFIED if "endpoint" not in cause])
def test_a_verified_cause_is_named_and_amounts_to_what_was_planted(
    gapped: Workplace, planted: list[GapPart], cause: str
) -> None:
    expected = summed([gap for gap in planted if gap.cause == cause])
    assert expected
    named = ", ".join(f"'{name}'" for name in VERIFIED[cause])
    agree(parts(gapped, f"cause IN ({named})"), expected)
    if cause == "other_rate":
        found = gapped.marts(
            f"SELECT DISTINCT cause FROM fct_reconciliation_parts WHERE cause IN ({named})"
        )
        assert {name for (name,) in found} == VERIFIED[cause]


def test_endpoints_that_tell_nothing_are_named(gapped: Workplace, planted: list[GapPart]) -> None:
    for cause, kinds in (("silent_endpoint", "input"), ("refused_endpoint", "seconds")):
        agree(
            parts(gapped, f"cause = 'endpoint_without_rows' AND item LIKE '%, {kinds}'"),
            summed([gap for gap in planted if gap.cause == cause]),
        )


@pytest.mark.parametrize("cause", UNEXPLAINED)
def test_what_cannot_be_verified_is_a_discrepancy(
    gapped: Workplace, planted: list[GapPart], cause: str
) -> None:
    gaps = [gap for gap in planted if gap.cause == cause]
    (project,) = {gap.project_id for gap in gaps}
    mine = f"openai_project_id = '{project}' AND part = 'unexplained' AND cause <> 'rounding'"
    agree(parts(gapped, mine), summed(gaps))
    assert gapped.marts(f"SELECT DISTINCT cause FROM fct_reconciliation_parts WHERE {mine}") == [
        (UNEXPLAINED[cause],)
    ]
    statuses = {
        day: (status, reason)
        for day, status, reason in gapped.marts(
            "SELECT cost_date, status, reason FROM fct_reconciliation"
            f" WHERE openai_project_id = '{project}'"
        )
    }
    tolerated = gapped.marts(
        "SELECT cost_date, greatest(abs(costs_v1) * 0.05, 0.01) FROM fct_reconciliation"
        f" WHERE openai_project_id = '{project}'"
    )
    limit = dict(tolerated)
    amounts = summed(gaps)
    outside = {day for (day, _), amount in amounts.items() if abs(amount) > 2 * limit[day]}
    assert outside
    for day in outside:
        assert statuses[day] == ("discrepancy", "unexplained"), day
    unplanned = {day for day, (status, _) in statuses.items() if status == "discrepancy"}
    assert unplanned <= {day for day, _ in amounts}


def test_all_at_once_leave_nothing_unexplained(gapped: Workplace, planted: list[GapPart]) -> None:
    agree(
        {
            (day, project): amount
            for day, project, amount in gapped.marts(
                "SELECT cost_date, openai_project_id, unexplained FROM fct_reconciliation"
            )
        },
        summed([gap for gap in planted if gap.cause in UNEXPLAINED]),
    )
    agree(
        {
            (day, project): amount
            for day, project, amount in gapped.marts(
                "SELECT cost_date, openai_project_id, difference FROM fct_reconciliation"
            )
        },
        summed(planted),
    )
    ((days, settled),) = gapped.marts(
        "SELECT count(*), count(*) FILTER (WHERE status <> 'pending') FROM fct_reconciliation"
    )
    scenario = gapped.server.scenario
    assert days == settled == (END - scenario.start).days * len(scenario.registration.projects)


def test_without_a_gap_every_day_matches_to_the_last_digit(
    gapped: Workplace, planted: list[GapPart]
) -> None:
    with_gaps = {(gap.day, gap.project_id) for gap in planted}
    rows = gapped.marts(
        "SELECT cost_date, openai_project_id, status, reason, difference, difference_ratio"
        " FROM fct_reconciliation"
    )
    plain = [row[2:] for row in rows if (row[0], row[1]) not in with_gaps]
    assert set(plain) <= {("matched", None, Decimal(0), 0.0), ("matched", None, Decimal(0), None)}


def test_complimentary_tokens_are_billed_at_nothing(gapped: Workplace) -> None:
    rows = gapped.marts(
        "SELECT costs.cost, costs.quantity = parts.quantity FROM fct_reconciliation_parts AS parts"
        " INNER JOIN fct_costs AS costs ON costs.line_item = parts.item"
        " AND costs.cost_date = parts.cost_date AND costs.api_version = 'costs_v1'"
        " AND costs.openai_project_id = parts.openai_project_id"
        " WHERE parts.cause = 'complimentary_tokens' AND costs.quantity > 0"
    )
    assert rows
    assert {cost for cost, _ in rows} == {Decimal(0)}


def test_what_moved_is_used_on_the_day_after(gapped: Workplace) -> None:
    pairs = gapped.marts(
        "SELECT one.quantity > 0, one.quantity + other.quantity, one.amount + other.amount"
        " FROM fct_reconciliation_parts AS one INNER JOIN fct_reconciliation_parts AS other"
        " ON other.cost_date = one.cost_date + 1 AND other.item = one.item"
        " AND other.openai_project_id = one.openai_project_id AND other.cause = one.cause"
        " WHERE one.cause = 'moved_across_midnight'"
    )
    assert set(pairs) == {(True, Decimal(0), Decimal(0))}


def test_parts_add_up_and_the_summary_covers_the_rest(gapped: Workplace) -> None:
    assert gapped.marts(
        "SELECT count(*) FROM fct_reconciliation WHERE difference <> non_token_cost"
        " + unpriced_cost + rate_difference + quantity_difference + unexplained"
        " OR difference <> costs_v1 - usage_v1"
    ) == [(0,)]
    for costs, matched, explained, still_open, coverage in gapped.marts(
        "SELECT costs_v1, matched_cost, explained_cost, open_cost, coverage_ratio"
        " FROM rpt_reconciliation_summary"
    ):
        assert matched + explained + still_open == costs
        assert coverage == pytest.approx(float((matched + explained) / costs))
    ((costs, still_open),) = gapped.marts(
        "SELECT sum(costs_v1), sum(open_cost) FROM rpt_reconciliation_summary"
    )
    ((expected,),) = gapped.marts(
        "SELECT sum(costs_v1) FROM fct_reconciliation WHERE status = 'discrepancy'"
    )
    assert 0 < still_open == expected < costs


def test_checks_say_where_the_money_is(gapped: Workplace) -> None:
    """Tables for whoever looks at a failing check, the worst first."""
    tables = "SELECT {} FROM checks.{} ORDER BY rank"
    worst = gapped.raw(tables.format("abs(unexplained)", "project_days_within_tolerance"))
    assert worst == sorted(worst, reverse=True)
    assert len(worst) == len(
        gapped.marts("SELECT 1 FROM fct_reconciliation WHERE status = 'discrepancy'")
    )
    items = gapped.raw(tables.format("item", "billed_models_are_priced"))
    assert {item for (item,) in items} == {
        "gpt-6-preview-2026-10-01, input",
        "gpt-6-preview-2026-10-01, output",
    }
    assert gapped.raw(tables.format("item", "line_items_are_known")) == []
