"""What a collection says about itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from finops_pipeline.ingestion.outcome import Progress, Status, add_up, in_words
from tests.ingestion.company import DIGITAL, FIRST, SimulatedCompany, admin_key

LAST = FIRST + timedelta(days=1)


def test_sums_are_exact_beyond_pythons_default_of_28_digits() -> None:
    large = Decimal("12345678901234567890.123456789012345678")
    smallest = Decimal("0.000000000000000001")
    costs = [(("USD", large), ("EUR", smallest)), (("USD", smallest),), ()]
    assert add_up(costs) == {
        "USD": Decimal("12345678901234567890.123456789012345679"),
        "EUR": smallest,
    }


def test_the_result_says_what_was_read_of_each_day(company: SimulatedCompany) -> None:
    company.register("mistyped", admin_key("nobody"))
    company.server.control.restate(DIGITAL, LAST, "empty")
    seen: list[Progress] = []

    collection = company.collect(FIRST, LAST, on_progress=seen.append)

    assert {bucket.day for bucket in collection.buckets} == {FIRST, LAST}
    read = {bucket.team_id: bucket for bucket in collection.buckets if bucket.day == FIRST}
    assert set(read) == {"search", "support", "research", "mistyped"}
    (cost,) = read["search"].costs
    assert cost == ("USD", sum(company.truth(DIGITAL, FIRST).values()))
    ((rows,),) = company.raw(
        "SELECT count(*) FROM raw.costs WHERE team_id = 'search' AND cost_date = $day", day=FIRST
    )
    assert read["search"].row_count == rows > 0
    assert read["mistyped"].status is Status.FAILED
    assert read["mistyped"].error == collection.failed_teams["mistyped"]
    (emptied,) = (
        bucket for bucket in collection.buckets if (bucket.day, bucket.team_id) == (LAST, "search")
    )
    assert (emptied.status, emptied.row_count, emptied.changed, emptied.costs) == (
        Status.OK,
        0,
        True,
        (),
    )
    assert collection.calls == len(company.server.control.requests())
    assert replace(seen[0], seconds=0.0) == Progress(
        teams=4,
        teams_done=0,
        buckets=8,
        buckets_done=0,
        buckets_before=0,
        rows=0,
        loads=0,
        seconds=0.0,
    )
    assert seen[0].seconds_left is None
    assert replace(seen[-1], seconds=0.0) == Progress(
        teams=4,
        teams_done=4,
        buckets=8,
        buckets_done=8,
        buckets_before=0,
        rows=company.count("costs"),
        loads=collection.loads,
        seconds=0.0,
    )
    assert seen[-1].seconds_left == 0


def test_what_is_left_takes_as_long_as_what_was_read_by_this_run() -> None:
    progress = Progress(
        teams=2,
        teams_done=1,
        buckets=100,
        buckets_done=60,
        buckets_before=40,
        rows=7,
        loads=1,
        seconds=30.0,
    )
    assert progress.seconds_left == 60
    assert in_words(progress) == (
        "1 of 2 teams, 60 of 100 buckets, 7 new rows in 30 s; about 60 s to go."
    )
