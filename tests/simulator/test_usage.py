"""The usage endpoints: what they count, how they group, and how they differ from costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import Fault, Scenario
from finops_pipeline.simulator.catalogue import OFFERS, USAGE_ENDPOINTS
from finops_pipeline.simulator.usage import ENDPOINTS

DAY = date(2026, 3, 10)


def usage(company: Any, endpoint: str, start: date | int, end: date | int, **others: Any) -> Any:
    params = [("start_time", unix(start)), ("end_time", unix(end))]
    group_by = others.pop("group_by", ENDPOINTS[endpoint].dimensions)  # type: ignore[index]
    params += [("group_by[]", name) for name in group_by]
    key = others.pop("key", None)
    params += [(name, str(value)) for name, value in others.items()]
    return company.get(f"/organization/usage/{endpoint}", key=key, params=params)


def unix(moment: date | int) -> str:
    if isinstance(moment, int):
        return str(moment)
    return str(int(datetime.fromisoformat(f"{moment}T00:00:00+00:00").timestamp()))


def rows(company: Any, endpoint: str, day: date, **others: Any) -> list[dict[str, Any]]:
    answer = usage(company, endpoint, day, day + timedelta(days=1), **others)
    assert answer.status_code == 200, answer.text
    [bucket] = answer.json()["data"]
    found: list[dict[str, Any]] = bucket["results"]
    return found


def everything(name: str) -> Scenario:
    """An organization with one project that uses all there is."""
    return Scenario.model_validate(
        {
            "start": "2026-01-01",
            "now": "2026-02-01T00:00:00Z",
            "organizations": [
                {
                    "id": f"org-{name}",
                    "name": name,
                    "admin_keys": [f"sk-admin-{name}"],
                    "projects": [{"id": "proj_all", "uses": list(OFFERS), "api_keys": 2}],
                }
            ],
        }
    )


@pytest.fixture(scope="module")
def user_of_all() -> Any:
    return everything("all")


@pytest.mark.parametrize("endpoint", USAGE_ENDPOINTS)
def test_every_endpoint_answers_with_its_measures_and_dimensions(
    open_company: Callable[[Scenario], Any], user_of_all: Scenario, endpoint: str
) -> None:
    known = ENDPOINTS[endpoint]  # type: ignore[index]
    found = rows(open_company(user_of_all), endpoint, date(2026, 1, 6))
    assert found
    for row in found:
        assert row["object"] == f"organization.usage.{known.object}.result"
        assert set(row) >= {*known.dimensions, *known.measures}
        assert row["project_id"] == "proj_all"
        assert any(row[measure] for measure in known.measures)
    keys = [tuple(row[name] for name in known.dimensions) for row in found]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("endpoint", USAGE_ENDPOINTS)
def test_dimensions_are_null_unless_grouped_by_and_sums_stay(
    open_company: Callable[[Scenario], Any], user_of_all: Scenario, endpoint: str
) -> None:
    company = open_company(user_of_all)
    known = ENDPOINTS[endpoint]  # type: ignore[index]
    day = date(2026, 1, 6)
    fine = rows(company, endpoint, day)
    [coarse] = rows(company, endpoint, day, group_by=())
    assert [coarse[name] for name in known.dimensions] == [None] * len(known.dimensions)
    for measure in known.measures:
        assert coarse[measure] == sum(row[measure] for row in fine)


def test_parts_of_tokens_add_up(unchanging: Any) -> None:
    for key in unchanging.keys[1:]:
        for row in rows(unchanging, "completions", DAY, key=key):
            cached = sum(row[f"input_cached_{part}_tokens"] for part in ("text", "audio", "image"))
            uncached = sum(row[f"input_{part}_tokens"] for part in ("text", "audio", "image"))
            output = sum(row[f"output_{part}_tokens"] for part in ("text", "audio", "image"))
            assert (cached, uncached, output) == (
                row["input_cached_tokens"],
                row["input_uncached_tokens"],
                row["output_tokens"],
            )
            written = row["input_cache_write_tokens"]
            assert row["input_tokens"] == cached + uncached + written


def test_tokens_are_those_that_were_billed(unchanging: Any) -> None:
    billed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in unchanging.rows(DAY):
        if row["quantity_unit"] == "tokens":
            kind = "output_tokens" if "output" in row["line_item"] else "input_tokens"
            billed[row["project_id"], kind] += row["quantity"]
    used: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for endpoint in ("completions", "embeddings", "moderations"):
        for row in rows(unchanging, endpoint, DAY):
            used[row["project_id"], "input_tokens"] += row["input_tokens"]
            used[row["project_id"], "output_tokens"] += row.get("output_tokens", 0)
    assert {key: each for key, each in used.items() if each} == billed


def test_tiers_batch_and_fine_tuned_models_are_written_as_usage_writes_them(
    open_company: Callable[[Scenario], Any], user_of_all: Scenario
) -> None:
    found = rows(open_company(user_of_all), "completions", date(2026, 1, 6))
    forms = {(row["model"], row["batch"], row["service_tier"]) for row in found}
    assert {("gpt-4o-2024-08-06", batch, "default") for batch in (True, False)} <= forms
    assert ("gpt-4o-2024-08-06", False, "priority") in forms
    assert ("o4-mini-2025-04-16", False, "flex") in forms
    fine_tuned = {model for model, *_ in forms if model.startswith("ft:")}
    assert fine_tuned == {"ft:gpt-4o-mini-2024-07-18:acme:helpdesk:9xKq2mLr"}


@pytest.mark.parametrize("limit", ["0", "32", "180"])
def test_more_than_31_days_are_refused_and_not_clamped(company: Any, limit: str) -> None:
    company.control.set_wire(clamp_limit_to_31=True)
    answer = usage(company, "completions", DAY, DAY + timedelta(days=5), limit=limit)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


@pytest.mark.parametrize(
    ("endpoint", "others", "param"),
    [
        ("vector_stores", {"group_by": ("model",)}, "group_by"),
        ("completions", {"group_by": ("line_item",)}, "group_by"),
        ("completions", {"bucket_width": "1w"}, "bucket_width"),
        ("completions", {"colour": "red"}, "colour"),
        ("vector_stores", {"api_key_ids": "key_1"}, "api_key_ids"),
    ],
)
def test_wrong_questions_are_refused(
    unchanging: Any, endpoint: str, others: dict[str, Any], param: str
) -> None:
    answer = usage(unchanging, endpoint, DAY, DAY + timedelta(days=1), **others)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_first_bucket_starts_when_asked_and_the_last_ends_now(company: Any) -> None:
    now = int(company.now.timestamp())
    noon = now - 2 * 86_400 - 9 * 3600 - 1800 + 12 * 3600
    answer = usage(company, "completions", noon, now + 86_400, limit=31, group_by=()).json()
    bounds = [(bucket["start_time"], bucket["end_time"]) for bucket in answer["data"]]
    midnight = noon + 12 * 3600
    assert bounds == [
        (noon, midnight),
        (midnight, midnight + 86_400),
        (midnight + 86_400, now),
    ]
    whole = rows(company, "completions", company.now.date() - timedelta(days=2), group_by=())
    [clipped] = answer["data"][0]["results"]
    assert abs(clipped["input_tokens"] * 2 - whole[0]["input_tokens"]) < 100


def test_pages_are_bound_to_endpoint_and_query(unchanging: Any) -> None:
    end = DAY + timedelta(days=5)
    asked = {"limit": 2, "group_by": ("project_id",)}
    first = usage(unchanging, "completions", DAY, end, **asked).json()
    assert first["has_more"]
    token = first["next_page"]
    second = usage(unchanging, "completions", DAY, end, **asked, page=token).json()
    assert second["data"][0]["start_time"] == first["data"][-1]["end_time"]
    for endpoint, limit in (("completions", 3), ("embeddings", 2)):
        other = {**asked, "limit": limit, "page": token}
        refused = usage(unchanging, endpoint, DAY, end, **other)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "page")


def test_filters_leave_the_rest_out(unchanging: Any) -> None:
    found = rows(unchanging, "completions", DAY)
    project = found[0]["project_id"]
    chosen = rows(unchanging, "completions", DAY, project_ids=project)
    assert chosen == [row for row in found if row["project_id"] == project]
    model = found[0]["model"]
    assert rows(unchanging, "completions", DAY, models=model) == [
        row for row in found if row["model"] == model
    ]


def test_old_rows_have_but_four_kinds_of_tokens(company: Any) -> None:
    company.control.set_wire(old_usage_rows=True, undocumented_fields=False)
    for row in rows(company, "completions", DAY):
        assert set(row) == {
            "object",
            "input_tokens",
            "output_tokens",
            "input_cached_tokens",
            "input_audio_tokens",
            "output_audio_tokens",
            "num_model_requests",
            "project_id",
            "user_id",
            "api_key_id",
            "model",
            "batch",
        }


def test_a_key_without_the_scope_and_a_foreign_key_are_refused(unchanging: Any) -> None:
    answer = usage(unchanging, "images", DAY, DAY + timedelta(days=1), key="sk-admin-unknown")
    assert answer.status_code == 401


def test_faults_can_befall_one_usage_endpoint_alone(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=503, endpoint="images"))
    company.control.plant_fault(Fault(kind="repeated_token", endpoint="embeddings"))
    end = DAY + timedelta(days=1)
    assert usage(company, "images", DAY, end).status_code == 503
    assert usage(company, "completions", DAY, end).status_code == 200
    looping = usage(company, "embeddings", DAY, end).json()
    again = usage(company, "embeddings", DAY, end, page=looping["next_page"]).json()
    assert again["next_page"] == looping["next_page"]


def test_usage_can_be_restated_without_the_bill(company: Any) -> None:
    bill = company.costs(DAY).content
    before = rows(company, "completions", DAY, group_by=())
    for factor, expected in (("2", 2), ("0", 0), ("1", 1)):
        company.control.restate_usage(
            company.organization.id, DAY, "completions", factor=Decimal(factor)
        )
        now = rows(company, "completions", DAY, group_by=())
        assert [row["output_tokens"] for row in now] == (
            [before[0]["output_tokens"] * expected] if expected else []
        )
    assert company.costs(DAY).content == bill
    company.control.restate_usage(company.organization.id, DAY, "completions", factor=Decimal(3))
    company.control.reset()
    assert rows(company, "completions", DAY, group_by=()) == before


def test_usage_of_nobody_cannot_be_restated(company: Any) -> None:
    with pytest.raises(UsageError, match="no organization org-none"):
        company.control.restate_usage("org-none", DAY, "images", factor=Decimal(2))


def test_rows_name_their_organization_only_when_switched_on(company: Any) -> None:
    assert not any("organization_id" in row for row in rows(company, "completions", DAY))
    company.control.set_wire(organization_id_on_usage=True)
    named = {row["organization_id"] for row in rows(company, "completions", DAY)}
    assert named == {company.organization.id}


def test_a_restated_bill_leaves_usage_as_it_is(company: Any) -> None:
    before = rows(company, "completions", DAY)
    company.control.restate(company.organization.id, DAY, "empty")
    assert rows(company, "completions", DAY) == before
