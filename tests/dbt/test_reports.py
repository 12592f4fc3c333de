"""What is complete, what is missing, and what that does to the summary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost

TODAY = date(2026, 3, 12)  # a Thursday
SUMMARY = "latest_complete_date, yesterday, yesterday_is_settled, this_week, month_to_date"


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.fixture(scope="module")
def marts(new_warehouse: Callable[[], Warehouse]) -> Marts:
    """Two organizations since February; in the second, one day of last week failed."""
    warehouse = new_warehouse()
    warehouse.settings(TODAY)
    warehouse.team("whole", "key-1")
    warehouse.team("holes", "key-2")
    warehouse.team("keyless")
    warehouse.team("gone", "key-4", is_active=False, deactivated_at=at(date(2026, 3, 4), 9))
    warehouse.project("p", ("whole", None, None))
    warehouse.project("q", ("holes", None, None))
    failed, skipped = date(2026, 3, 6), date(2026, 3, 5)
    for day in days(date(2026, 2, 1), date(2026, 3, 11)):
        rows = [] if day == date(2026, 3, 10) else [cost("1.5", "p")]
        warehouse.read("whole", day, rows, at(day, 4, days=1), key="key-1", organization_id="o1")
        if day == failed:
            warehouse.fail("holes", day, at(day, 4, days=1), "outage of the costs endpoint")
        elif day != skipped:
            rows = [cost("1", "q"), cost("0.1")]
            warehouse.read(
                "holes", day, rows, at(day, 4, days=1), key="key-2", organization_id="o2"
            )
    # Ended on the fourth; a later attempt at a day that was read before does not unread it.
    for day in days(date(2026, 3, 2), date(2026, 3, 3)):
        warehouse.read("gone", day, [], at(day, 4, days=1), key="key-4", organization_id="o4")
    warehouse.fail("gone", date(2026, 3, 2), at(date(2026, 3, 4), 8), "key was revoked")
    # Usage was asked for a day later than costs.
    usage = {"endpoint": "completions"}
    warehouse.fail("gone", date(2026, 3, 3), at(date(2026, 3, 4), 8), "key was revoked", **usage)
    # Today's bucket, half filled, and yesterday's when it was still open.
    warehouse.read("whole", TODAY, [cost("7", "p")], at(TODAY, 5), key="key-1")
    return warehouse.run()


def summary(marts: Marts, team: str, columns: str) -> tuple[object, ...]:
    (row,) = marts.rows("rpt_cost_summary", columns, f"team_id = '{team}'")
    return row


def test_a_complete_team_has_all_its_figures(marts: Marts) -> None:
    assert summary(marts, "whole", "currency, as_of_date, previous_month") == (
        "USD",
        date(2026, 3, 11),
        Decimal("1.5") * 28,
    )
    assert summary(marts, "whole", SUMMARY) == (
        date(2026, 3, 11),
        Decimal("1.5"),
        False,
        Decimal(3),  # Monday, Wednesday; Tuesday was empty
        Decimal("1.5") * 10,
    )


def test_a_missing_day_makes_a_figure_null_and_not_zero(marts: Marts) -> None:
    assert summary(marts, "holes", SUMMARY) == (
        date(2026, 3, 11),
        Decimal(1),
        False,
        Decimal(3),
        None,
    )
    assert summary(marts, "holes", "previous_month") == (Decimal(28),)


def test_unallocated_needs_every_organization(marts: Marts) -> None:
    assert summary(marts, "unallocated", SUMMARY) == (
        date(2026, 3, 11),
        Decimal("0.1"),
        False,
        Decimal("0.3"),
        None,
    )
    # The third organization was first read in March: February is not known for all.
    assert summary(marts, "unallocated", "previous_month") == (None,)


def test_a_team_of_which_nothing_is_read_has_no_figures(marts: Marts) -> None:
    assert summary(marts, "keyless", f"currency, {SUMMARY}") == (
        "USD",
        None,
        None,
        False,
        None,
        None,
    )


def test_a_withdrawn_team_is_complete_up_to_its_end(marts: Marts) -> None:
    assert summary(marts, "gone", SUMMARY) == (date(2026, 3, 3), None, False, None, None)


def statuses(marts: Marts, team: str, endpoint: str = "costs") -> dict[date, str]:
    of_both = f"team_id = '{team}' and endpoint = '{endpoint}'"
    return dict(marts.rows("rpt_collection_status", "cost_date, status", of_both))


def test_status_runs_from_the_first_request_to_yesterday_or_the_end(marts: Marts) -> None:
    assert list(statuses(marts, "whole")) == days(date(2026, 2, 1), date(2026, 3, 11))
    assert statuses(marts, "gone") == {
        date(2026, 3, 2): "failed",
        date(2026, 3, 3): "ok",
        date(2026, 3, 4): "missing",
    }
    assert statuses(marts, "gone", "completions") == {
        date(2026, 3, 2): "missing",
        date(2026, 3, 3): "failed",
        date(2026, 3, 4): "missing",
    }
    assert statuses(marts, "whole", "completions") == {}
    assert "keyless" not in {team for (team,) in marts.rows("rpt_collection_status", "team_id")}


def test_status_is_that_of_the_latest_attempt(marts: Marts) -> None:
    not_ok = {day: s for day, s in statuses(marts, "holes").items() if s != "ok"}
    assert not_ok == {date(2026, 3, 5): "missing", date(2026, 3, 6): "failed"}
    assert marts.rows(
        "rpt_collection_status",
        "status, last_ok_at, row_count, cost, collected_at, error",
        "team_id = 'gone' and endpoint = 'costs' and cost_date = '2026-03-02'",
    ) == [
        (
            "failed",
            datetime(2026, 3, 3, 4, tzinfo=UTC),
            None,
            None,
            datetime(2026, 3, 4, 8, tzinfo=UTC),
            "key was revoked",
        )
    ]


def test_the_build_says_how_far_it_is_complete(marts: Marts) -> None:
    assert marts.rows("rpt_build") == [(at(TODAY, 6), "run", "1", "costs_v1", date(2026, 3, 11))]


def test_a_day_read_before_it_was_over_is_not_complete(warehouse: Warehouse) -> None:
    warehouse.settings(TODAY, settle_days=0)
    warehouse.team("early", "key")
    warehouse.project("p", ("early", None, None))
    yesterday = date(2026, 3, 11)
    for day, when in [(date(2026, 3, 10), at(yesterday, 1)), (yesterday, at(yesterday, 23))]:
        warehouse.read("early", day, [cost("1", "p")], when, key="key")
    marts = warehouse.run()
    assert summary(marts, "early", SUMMARY) == (date(2026, 3, 10), None, False, None, None)
    assert marts.rows("fct_costs", "is_settled") == [(False,), (True,)]

    warehouse.read("early", yesterday, [cost("1", "p")], at(TODAY), key="key")
    assert summary(warehouse.run(), "early", "yesterday, yesterday_is_settled") == (
        Decimal(1),
        True,
    )


def test_an_empty_warehouse_builds(warehouse: Warehouse) -> None:
    marts = warehouse.build()
    assert marts.rows("dim_teams", "team_id") == [("unallocated",)]
    assert marts.rows("dim_projects", "project_id") == [("unallocated",)]
    for table in ("dim_organizations", "fct_costs", "fct_project_daily_costs", "rpt_collections"):
        assert marts.rows(table) == []
