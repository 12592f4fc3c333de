"""What always holds, and that the project's own tests notice when it does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.dbt.conftest import Warehouse, at, cost

FIRST = date(2026, 3, 1)

amounts = st.one_of(
    st.none(), st.decimals(Decimal(-100), Decimal(1000), allow_nan=False, places=18)
)
rows = st.lists(
    st.builds(
        cost,
        amounts.map(lambda amount: None if amount is None else str(amount)),
        st.sampled_from(["a", "b", "c", None]),
        line_item=st.sampled_from(["gpt-5-2025-08-07, input", "Vector storage", None]),
        currency=st.sampled_from(["USD", "USD", "USD", "EUR", None]),
        api_key_id=st.sampled_from(["key_1", None]),
    ),
    max_size=6,
)
# (organization, which of its two teams, day, complete, rows); their order is the order in time.
readings = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from([True, True, True, False]),
        rows,
    ),
    max_size=40,
)


@given(readings=readings, wired=st.booleans())
@settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],  # shrinking would run dbt hundreds of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_totals_are_those_of_the_newest_complete_readings(
    new_warehouse: Callable[[], Warehouse],
    readings: list[tuple[int, int, int, bool, list[dict[str, object]]]],
    wired: bool,
) -> None:
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 3, 20))
    newest: dict[tuple[str, date], list[dict[str, object]]] = {}
    for number in range(5):
        for side in (0, 1):
            warehouse.team(f"team-{number}-{side}")
            warehouse.key(
                f"team-{number}-{side}",
                f"key-{number}-{side}",
                organization_id=None if wired else f"org-{number}",
            )
    warehouse.project("0-a", ("team-0-0", None, FIRST + timedelta(days=1)))
    for moment, (number, side, day_number, complete, day_rows) in enumerate(readings):
        day, organization = FIRST + timedelta(days=day_number), f"org-{number}"
        own_rows = [
            row
            | {"project_id": row["project_id"] and f"proj_{number}-{str(row['project_id'])[5:]}"}
            for row in day_rows
        ]
        warehouse.read(
            f"team-{number}-{side}",
            day,
            own_rows,
            at(FIRST, days=4) + timedelta(minutes=moment),
            key=f"key-{number}-{side}",
            organization_id=organization if wired else None,
            complete=complete,
        )
        if complete:
            newest[organization, day] = own_rows
    expected: dict[tuple[str, date, str], Decimal] = defaultdict(Decimal)
    for (organization, day), own_rows in newest.items():
        for row in own_rows:
            key = organization, day, str(row["currency"] or "USD")
            expected[key] += Decimal(str(row["amount"] or 0))

    marts = warehouse.run("--select", "+fct_team_daily_costs")
    for table in ("fct_costs", "fct_project_daily_costs"):
        totals = marts.query(
            f"select organization_id, cost_date, currency, sum(cost) from {table} group by all"
        )
        assert {(o, d, c): total for o, d, c, total in totals} == dict(expected)
    by_team = marts.query("select currency, sum(cost) from fct_team_daily_costs group by all")
    for currency, total in by_team:
        assert total == sum(t for (_, _, c), t in expected.items() if c == currency)


def test_what_is_wrong_by_a_hair_fails_the_build(warehouse: Warehouse) -> None:
    warehouse.settings(date(2026, 3, 20))
    warehouse.team("one", "key")
    warehouse.project("p", ("one", None, date(2026, 3, 2)), ("one", date(2026, 3, 2), None))
    warehouse.project("q", ("one", None, None))
    for number in range(2):
        day = FIRST + timedelta(days=number)
        day_rows = [cost("1", "p"), cost("2", "q"), cost("3")]
        warehouse.read("one", day, day_rows, at(day, days=1), key="key")
    warehouse.run()

    hair = "0.000000000000000001"
    warehouse.tables["project_ownership"][0]["valid_to"] = date(2026, 3, 3)
    warehouse.land()
    with duckdb.connect(str(warehouse.folder / "warehouse.duckdb")) as connection:
        sightings = "intermediate.int_costs_sightings"
        connection.execute(
            f"update {sightings} set cost = cost + {hair} where cost_date = '{FIRST}'"
        )
        connection.execute(f"update {sightings} set row_count = 4 where cost_date > '{FIRST}'")
    with duckdb.connect(str(warehouse.folder / "marts.building.duckdb")) as connection:
        connection.execute(f"update fct_team_daily_costs set cost = cost - {hair}")
        connection.execute("insert into fct_team_daily_costs from fct_team_daily_costs limit 1")
        connection.execute(
            "insert into fct_project_daily_costs"
            " select * replace (0 as cost) from fct_project_daily_costs limit 1"
        )
        connection.execute(f"update fct_restatements set change = change + {hair}")
        connection.execute("delete from dim_projects where project_id = 'q'")
    statuses = warehouse.dbt("test", "--exclude-resource-type", "unit_test", land=False)
    assert {name.split("__")[0] for name, status in statuses.items() if status == "fail"} == {
        "openai_projects_have_one_owner_a_day",
        "projects_have_one_owner_a_day",
        "costs_equal_the_ledger",
        "sightings_landed_whole",
        "team_days_equal_costs",
        "restatements_end_in_costs",
        "fct_team_daily_costs_grain",
        "fct_project_daily_costs_grain",
        "relationships_fct_costs_project_id",
        "relationships_dim_project_ownership_project_id",
    }


def test_the_rules_hold_one_by_one(warehouse: Warehouse) -> None:
    """dbt's unit tests; they need the shape of the tables, not their rows."""
    warehouse.run()
    statuses = warehouse.dbt("test", "--select", "test_type:unit")
    assert len(statuses) >= 5
    assert set(statuses.values()) == {"pass"}
