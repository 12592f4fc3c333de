"""Few requests: the ledger knows how large a team's days are."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from tests.ingestion.company import FIRST, TEAMS, SimulatedCompany

LAST = date(2026, 3, 31)


@pytest.fixture
def quarter(company: SimulatedCompany) -> SimulatedCompany:
    company.server.control.set_clock(datetime(2026, 4, 15, 9, tzinfo=UTC))
    return company


def costs_calls(company: SimulatedCompany) -> Counter[str | None]:
    """Costs requests since the last look, by the end of the key that was shown."""
    requests = company.server.control.requests()
    company.server.control.reset_requests()
    return Counter(request.last4 for request in requests if request.path.endswith("/costs"))


def test_a_quarter_takes_two_requests_a_team_and_read_again_one(quarter: SimulatedCompany) -> None:
    first = quarter.collect(FIRST, LAST)
    calls = costs_calls(quarter)
    assert len(calls) == len(TEAMS)
    assert set(calls.values()) == {2}
    assert len(first.buckets) == 90 * len(TEAMS)
    assert first.failed_teams == {}

    again = quarter.collect(FIRST, LAST)
    assert set(costs_calls(quarter).values()) == {1}
    assert again.rows_landed == 0
    assert again.calls == 2 * len(TEAMS), "one for costs and one for project names"


def test_what_is_known_of_one_team_says_nothing_about_another(quarter: SimulatedCompany) -> None:
    quarter.collect(FIRST, teams=["search"])
    costs_calls(quarter)
    quarter.collect(FIRST, LAST, ["search"])
    assert sum(costs_calls(quarter).values()) == 1
    quarter.collect(FIRST, LAST, ["support"])
    assert sum(costs_calls(quarter).values()) == 2
