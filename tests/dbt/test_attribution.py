"""Who owns which cost on which day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)


def spend(warehouse: Warehouse) -> None:
    warehouse.settings(date(2026, 3, 20))
    warehouse.team("one", "key")
    warehouse.team("two")
    for day in (FIRST, SECOND, THIRD):
        rows = [
            cost("1", "moving"),
            cost("2", "late", project_name="Late at OpenAI"),
            cost("0.5"),
            cost("0.25", "stranger", project_name="Stranger"),
            cost("4", "ended", api_key_id="a"),
            cost("8", "ended", api_key_id="b"),
        ]
        warehouse.read("one", day, rows, at(day, 3, days=1), key="key", organization_id="org")
    warehouse.project("moving", ("one", None, SECOND), ("two", SECOND, None), tags='{"a": "b"}')
    warehouse.project("ended", ("one", SECOND, THIRD))


def team_days(marts: Marts) -> dict[tuple[str, int], tuple[Decimal, int]]:
    rows = marts.rows("fct_team_daily_costs", "team_id, day(cost_date), cost, project_count")
    return {(team, day): (total, projects) for team, day, total, projects in rows}


@pytest.fixture(scope="module")
def builds(
    new_warehouse: Callable[[], Warehouse],
) -> tuple[Marts, list[tuple[object, ...]], Marts]:
    """The same warehouse before and after a project is registered."""
    warehouse = new_warehouse()
    spend(warehouse)
    before = warehouse.run()
    early = before.rows("fct_team_daily_costs", "team_id, cost", f"cost_date = '{FIRST}'")
    warehouse.project("late", ("two", None, None))
    return before, early, warehouse.run()


@pytest.fixture
def marts(builds: tuple[Marts, list[tuple[object, ...]], Marts]) -> Marts:
    return builds[2]


def test_a_late_registration_maps_backwards(
    builds: tuple[Marts, list[tuple[object, ...]], Marts],
) -> None:
    _, early, after = builds
    assert early == [("one", Decimal(1)), ("unallocated", Decimal("14.75"))]
    assert after.rows("fct_team_daily_costs", "team_id, cost", f"cost_date = '{FIRST}'") == [
        ("one", Decimal(1)),
        ("two", Decimal(2)),
        ("unallocated", Decimal("12.75")),
    ]


def test_a_move_splits_the_past_from_the_future(marts: Marts) -> None:
    assert team_days(marts) == {
        ("one", 1): (Decimal(1), 1),
        ("two", 1): (Decimal(2), 1),
        ("unallocated", 1): (Decimal("12.75"), 1),
        ("one", 2): (Decimal(12), 1),
        ("two", 2): (Decimal(3), 2),
        ("unallocated", 2): (Decimal("0.75"), 1),
        ("two", 3): (Decimal(3), 2),
        ("unallocated", 3): (Decimal("12.75"), 1),
    }


def test_unallocated_spend_is_listed_with_its_name(marts: Marts) -> None:
    assert marts.rows("rpt_unallocated_costs", where=f"cost_date = '{THIRD}'") == [
        (THIRD, "org", "proj_ended", None, "USD", Decimal(12)),
        (THIRD, "org", "proj_stranger", "Stranger", "USD", Decimal("0.25")),
        (THIRD, "org", None, None, "USD", Decimal("0.5")),
    ]


def test_projects_are_as_they_are_now(marts: Marts) -> None:
    assert marts.rows("dim_projects", "project_id, team_id, openai_project_name, tags") == [
        ("ended", "one", None, None),
        ("late", "two", "Late at OpenAI", None),
        ("moving", "two", None, '{"a": "b"}'),
        ("unallocated", "unallocated", None, None),
    ]
    assert marts.query("select typeof(tags) from dim_projects limit 1") == [("JSON",)]


@pytest.mark.parametrize(
    ("fact", "dimension", "key"),
    [
        ("fct_costs", "dim_teams", "team_id"),
        ("fct_costs", "dim_projects", "project_id"),
        ("fct_costs", "dim_organizations", "organization_id"),
        ("fct_project_daily_costs", "dim_projects", "project_id"),
        ("fct_team_daily_costs", "dim_teams", "team_id"),
    ],
)
def test_a_join_neither_loses_nor_doubles(
    marts: Marts, fact: str, dimension: str, key: str
) -> None:
    joined = marts.query(f"select sum(cost) from {fact} join {dimension} using ({key})")
    assert joined == [(Decimal("15.75") * 3,)]
