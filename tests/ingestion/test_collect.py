from __future__ import annotations

from datetime import date

from tests.workplace import Workplace


def test_one_quarter_is_two_requests_a_team_and_a_rerun_lands_nothing(workplace: Workplace) -> None:
    start, end = date(2026, 1, 1), date(2026, 3, 31)
    first = workplace.collect(start, end)
    costs = [r for r in workplace.server.control.requests() if "costs" in r.path]
    assert len(costs) == 6
    assert first.failed_teams == {}
    assert first.rows_landed > 0
    again = workplace.collect(start, end)
    assert again.rows_landed == 0
    assert not any(bucket.changed for bucket in again.buckets)
