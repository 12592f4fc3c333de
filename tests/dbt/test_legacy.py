"""What project keys told counts where the organization told nothing, once, and never beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost, used

GPT, TUNED = "gpt-4o-2024-08-06", "ft:gpt-4o-mini-2024-07-18:acme:helpdesk:9xKq2mLr"
COVERED, ALONE, BILLED, EMPTY, MOVED, MOVED_BACK = (date(2026, 3, day) for day in range(1, 7))
FIRST, NEXT = "first", "next"


def told(key: str, model: str = GPT, project: str | None = "", **more: Any) -> dict[str, Any]:
    """A row that the key of a project told; of that project itself unless another is given."""
    named = f"proj_{key}" if project == "" else project
    row = {"key_project_id": f"proj_{key}", "dataset": "data", "model": model, "is_batch": False}
    numbers = {
        name: Decimal(value) if type(value) is int else value for name, value in more.items()
    }
    return row | {"openai_project_id": named} | numbers


def read_legacy(
    warehouse: Warehouse,
    team: str,
    day: date,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    when: datetime,
    content: str = FIRST,
) -> None:
    """A successful reading with the keys of these projects."""
    load_id = warehouse.load()
    bucket = {"team_id": team, "cost_date": day, "_dlt_load_id": load_id}
    bucket |= {"endpoint": "legacy_usage", "revision_id": f"revision of {load_id}"}
    for row in rows:
        warehouse.add("legacy_usage", bucket, row)
    number = len(warehouse.tables["collections"])
    entry: dict[str, Any] = {"collection_id": f"collection {number:05}", "run_id": "run"}
    entry |= {"status": "ok", "row_count": len(rows), "content_hash": content, "collected_at": when}
    signature = ",".join(f"proj_{key}" for key in sorted(keys))
    warehouse.add("collections", bucket | entry, {"query_signature": signature})


SEARCH = [
    # OpenAI's list in USD a million, as input / cached input / output: gpt-4o 2.50 / 1.25 / 10.00
    told("ranking", input_tokens=600_000, input_cached_tokens=150_000, output_tokens=40_000),
    # A part in another slot than its whole.
    told("ranking", input_tokens=400_000, output_tokens=60_000),
    told("ranking", input_tokens=0, input_cached_tokens=50_000, request_count=7),
    told("ranking", project=None, output_tokens=10_000),
    told("ranking", project="proj_fresh", output_tokens=1_000_000),
    told("fresh", is_batch=True, input_tokens=1_000_000),
    told("fresh", TUNED, dataset="ft_data", output_tokens=1_000_000),
    told("fresh", "whisper-1", dataset="whisper_api_data", is_batch=None, seconds=600),
    told("fresh", "tts-1", dataset="tts_api_data", is_batch=None, characters=1_000),
    told("fresh", "gpt-9", input_tokens=5),
]
SOLO = [told("solo", output_tokens=1_000)]

# 800,000 x 2.50 + 200,000 x 1.25 + (40,000 + 60,000 + 10,000) x 10.00 millionths
RANKING = Decimal("3.35")
# 1,000,000 x 2.50 + 1,000,000 x 1.20 millionths, 600 x 0.0001, 1,000 x 15.00 millionths
FRESH = Decimal("3.775")
# 1,000 x 10.00 millionths
ALONE_SOLO = Decimal("0.01")


@pytest.fixture(scope="module")
def company(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """A team with admin key and project keys, one that has a project key alone, and two more
    between which a project moves there and back."""
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 4, 1))
    warehouse.price(GPT, TUNED, "whisper-1", "tts-1", "gpt-9")
    warehouse.team("search", "admin")
    for team in ("solo", "one", "two"):
        warehouse.team(team)
    for project, team in {"ranking": "search", "fresh": "search", "solo": "solo"}.items():
        warehouse.project(project, (team, None, None))
        warehouse.key(team, f"key of {project}", key_type="project", project_id=project)
    for day in (COVERED, ALONE, BILLED):
        when = at(day, days=5)
        read_legacy(warehouse, "search", day, SEARCH, keys=["ranking", "fresh"], when=when)
    read_legacy(warehouse, "solo", ALONE, SOLO, keys=["solo"], when=at(ALONE, days=5))
    read_legacy(warehouse, "solo", EMPTY, [], keys=["solo"], when=at(EMPTY, days=1))
    same: dict[str, Any] = {"key": "admin", "when": at(COVERED, days=6)}
    rows = [used(GPT, "ranking", input_tokens=1_000_000)]
    warehouse.read("search", COVERED, rows, endpoint="completions", **same)
    for day in (COVERED, BILLED):
        warehouse.read("search", day, [cost("9", "ranking")], organization_id="org-1", **same)
    warehouse.read("search", BILLED, [], endpoint="vector_stores", **same)
    warehouse.fail(
        *("search", BILLED, at(BILLED, days=5), "out"),
        endpoint="completions",
        key_fingerprint="admin",
    )
    for day, first, last in ((MOVED, "one", "two"), (MOVED_BACK, "two", "one")):
        both = [told("moved", output_tokens=1_000), told("stays", output_tokens=2_000)]
        read_legacy(warehouse, first, day, both, keys=["moved", "stays"], when=at(day, days=1))
        rows = [told("moved", output_tokens=3_000)]
        read_legacy(warehouse, last, day, rows, keys=["moved"], when=at(day, days=2))
        read_legacy(
            *(warehouse, first, day, []), keys=["other"], when=at(day, days=3), content=NEXT
        )
    return warehouse


@pytest.fixture(scope="module")
def marts(company: Warehouse) -> Marts:
    return company.build()


def worth(marts: Marts, day: date, table: str = "fct_costs", where: str = "true") -> Any:
    """Cost by OpenAI project."""
    return dict(
        marts.query(
            f"select openai_project_id, sum(cost) from {table} where cost_date = '{day}'"
            f" and {where} group by all"
        )
    )


def test_what_keys_told_is_worth_what_the_list_says(marts: Marts) -> None:
    expected = {"proj_ranking": RANKING, "proj_fresh": FRESH, "proj_solo": ALONE_SOLO}
    assert worth(marts, ALONE) == expected
    assert worth(marts, ALONE, "fct_project_daily_costs") == expected
    assert marts.rows(
        "fct_team_daily_costs", "team_id, cost, cost_source", f"cost_date = '{ALONE}'"
    ) == [
        ("search", RANKING + FRESH, "usage_v1"),
        ("solo", ALONE_SOLO, "usage_v1"),
    ]
    labels = marts.query(
        f"select line_item, cost from fct_costs where cost_date = '{ALONE}'"
        " and openai_project_id = 'proj_fresh' order by all"
    )
    assert labels == [
        ("batch | gpt-4o-2024-08-06, input", Decimal("2.5")),
        ("ft-gpt-4o-mini-2024-07-18, output", Decimal("1.2")),
        ("tts-1, input", Decimal("0.015")),
        ("whisper-1, input", Decimal("0.06")),
    ]


def test_usage_of_keys_is_an_endpoint_of_its_own(marts: Marts) -> None:
    rows = marts.rows(
        "fct_usage",
        "endpoint, measure, quantity, list_cost",
        f"cost_date = '{ALONE}' and openai_project_id = 'proj_ranking'",
    )
    assert rows == [
        ("legacy_usage", "input_cached_tokens", 200_000, Decimal("0.25")),
        ("legacy_usage", "input_uncached_tokens", 800_000, Decimal(2)),
        ("legacy_usage", "output_tokens", 110_000, Decimal("1.1")),
    ]
    unpriced = marts.rows("fct_usage", "quantity, list_cost", "model = 'gpt-9'")
    assert set(unpriced) == {(5, None)}


def test_a_day_that_both_tell_counts_once(marts: Marts) -> None:
    assert marts.rows("fct_usage", "distinct endpoint", f"cost_date = '{COVERED}'") == [
        ("completions",)
    ]
    # 1,000,000 x 2.50 millionths, and nothing of the keys
    assert worth(marts, COVERED, where="api_version = 'usage_v1'") == {
        "proj_ranking": Decimal("2.5")
    }


def test_what_was_billed_comes_first_and_is_never_judged_by_keys(marts: Marts) -> None:
    assert worth(marts, BILLED, where="is_reported") == {"proj_ranking": Decimal(9)}
    assert worth(marts, BILLED, "fct_project_daily_costs") == {"proj_ranking": Decimal(9)}
    assert marts.rows(
        "fct_reconciliation",
        "openai_project_id, costs_v1, usage_v1, status",
        f"cost_date = '{BILLED}'",
    ) == [
        ("proj_fresh", Decimal(0), FRESH, "pending"),
        ("proj_ranking", Decimal(9), RANKING, "pending"),
    ]


def test_a_project_belongs_to_the_organization_that_saw_it(marts: Marts) -> None:
    """Else to its team's, else to one of the team's own."""
    found = marts.rows(
        "fct_usage",
        "distinct openai_project_id, organization_id",
        f"endpoint = 'legacy_usage' and cost_date <= '{BILLED}'",
    )
    assert found == [
        ("proj_fresh", "org-1"),
        ("proj_ranking", "org-1"),
        ("proj_solo", "local-solo"),
    ]
    assert marts.rows("dim_organizations", "organization_id") == [
        ("local-one",),
        ("local-solo",),
        ("local-two",),
        ("org-1",),
    ]


def test_no_day_is_missing_that_nobody_asked_for(marts: Marts) -> None:
    status = marts.rows(
        "rpt_collection_status",
        "team_id, cost_date, status",
        "endpoint = 'legacy_usage' and team_id in ('search', 'solo')",
    )
    assert status == [
        *(("search", day, "ok") for day in (COVERED, ALONE, BILLED)),
        ("solo", ALONE, "ok"),
        ("solo", EMPTY, "ok"),
    ]


def test_days_settle_as_those_of_the_organization_do(marts: Marts) -> None:
    settled = marts.rows("fct_usage", "distinct cost_date, is_settled", "endpoint = 'legacy_usage'")
    assert settled == [(ALONE, True), (BILLED, True), (MOVED, False), (MOVED_BACK, False)]


def test_keys_come_and_go_and_projects_move(marts: Marts) -> None:
    """A project's newest reading counts, whichever team's; one without its key changes nothing."""
    for day in (MOVED, MOVED_BACK):
        # 3,000 and 2,000 x 10.00 millionths
        assert worth(marts, day) == {"proj_moved": Decimal("0.03"), "proj_stays": Decimal("0.02")}


def test_the_organization_takes_the_day_over_once_it_tells_it(
    company: Warehouse, marts: Marts
) -> None:
    """And a restated day of keys follows its newest content. Changes the company."""
    assert worth(marts, ALONE)["proj_ranking"] == RANKING
    rows = [used(GPT, "ranking", output_tokens=500), used(GPT, None, output_tokens=100)]
    company.read("search", ALONE, rows, at(ALONE, days=9), key="admin", endpoint="completions")
    restated = [told("solo", output_tokens=4_000)]
    read_legacy(
        *(company, "solo", ALONE, restated), keys=["solo"], when=at(ALONE, days=9), content=NEXT
    )
    after = company.run()
    # 500, 100 and 4,000 x 10.00 millionths
    expected = {"proj_ranking": Decimal("0.005"), None: Decimal("0.001")}
    assert worth(after, ALONE) == expected | {"proj_solo": Decimal("0.04")}
    assert after.rows(
        "fct_usage", "distinct endpoint, openai_project_id", f"cost_date = '{ALONE}'"
    ) == [
        ("completions", "proj_ranking"),
        ("completions", None),
        ("legacy_usage", "proj_solo"),
    ]
