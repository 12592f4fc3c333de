"""Which (team, day) buckets are missing or failed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.ingestion.gaps import Gap, find_gaps
from finops_pipeline.warehouse import Warehouse
from tests.ingestion.test_due import Ledger, ledger

__all__ = ["ledger"]

NOW = datetime(2026, 3, 20, 13, tzinfo=UTC)
FIRST = date(2026, 3, 10)
YESTERDAY = date(2026, 3, 19)
AT = datetime(2026, 3, 20, 6, 30, tzinfo=UTC)


def gaps(ledger: Ledger, *teams: str, now: datetime = NOW, **changes: Any) -> list[Gap]:
    options: dict[str, Any] = {"first_day": date(2026, 1, 1), "endpoints": ["costs"]} | changes
    keys = options.pop("keys", dict.fromkeys(teams or ("search",), "a key"))
    return find_gaps(ledger.warehouse, keys=keys, now=now, **options)


def days(found: list[Gap]) -> list[int]:
    return [gap.day.day for gap in found]


@pytest.fixture
def whole(ledger: Ledger) -> Ledger:
    """Every day of the team from the tenth on was read."""
    for number in range(10):
        ledger.read(FIRST + timedelta(days=number), AT)
    return ledger


def name_run(ledger: Ledger, run: str, key: str | None = "a key") -> None:
    """Of the newest entry."""
    with ledger.warehouse.connect() as connection:
        connection.execute(
            "UPDATE raw.collections SET run_id = $run, key_id = $key, error = $run || ' failed' "
            "WHERE collection_id = $id",
            {"run": run, "key": key, "id": str(ledger.entries)},
        )


def test_a_warehouse_without_raw_tables_has_none(tmp_path: Path) -> None:
    assert gaps(Ledger(Warehouse(tmp_path, memory_limit="512MB"))) == []


def test_nothing_is_expected_of_a_team_that_was_never_read(ledger: Ledger) -> None:
    ledger.read(FIRST, AT, team="other")
    assert gaps(ledger) == []


def test_a_team_that_was_read_whole_has_none(whole: Ledger) -> None:
    assert gaps(whole) == []
    assert gaps(whole, "stranger") == []


def test_days_are_expected_from_the_first_one_to_yesterday(ledger: Ledger) -> None:
    ledger.read(date(2026, 3, 15), AT)
    ledger.read(date(2026, 3, 17), AT)
    assert gaps(ledger) == [Gap("search", "costs", date(2026, 3, day)) for day in (16, 18, 19)]
    assert days(gaps(ledger, first_day=date(2026, 3, 18))) == [18, 19]


def test_a_day_nobody_asked_for_is_missing_from_noon_on(ledger: Ledger) -> None:
    ledger.read(date(2026, 3, 18), AT)
    noon = datetime(2026, 3, 20, 12, tzinfo=UTC)
    assert gaps(ledger, now=noon - timedelta(seconds=1)) == []
    assert days(gaps(ledger, now=noon)) == [19]


def test_a_failure_counts_at_once_and_until_the_day_is_read(whole: Ledger) -> None:
    early = datetime(2026, 3, 20, 7, tzinfo=UTC)
    whole.read(YESTERDAY, early, None)
    name_run(whole, "one")
    runs = frozenset({"one"})
    assert gaps(whole, now=early) == [
        Gap("search", "costs", YESTERDAY, AT, runs, runs, early, "one failed")
    ]
    whole.read(YESTERDAY, early + timedelta(minutes=1))
    assert gaps(whole) == []


def test_only_failures_since_it_was_read_and_with_this_key_are_tries(ledger: Ledger) -> None:
    ledger.read(YESTERDAY, AT - timedelta(hours=9), None)
    name_run(ledger, "before it was read")
    ledger.read(YESTERDAY, AT)
    for number, (run, key) in enumerate([("one", "old"), ("two", "a key"), ("three", "a key")]):
        ledger.read(YESTERDAY, AT + timedelta(hours=number + 1), None)
        name_run(ledger, run, key)
    ledger.read(YESTERDAY, AT + timedelta(hours=4), None)
    name_run(ledger, "without any", None)
    (gap,) = gaps(ledger)
    assert gap.read_at == AT
    assert gap.failed_runs == {"one", "two", "three", "without any"}
    assert gap.tries == {"two", "three"}
    assert gap.tried_at == AT + timedelta(hours=3)
    assert gap.error == "without any failed"


def test_only_complete_loads_of_this_endpoint_count(whole: Ledger) -> None:
    whole.read(YESTERDAY, AT + timedelta(hours=1), None, load="never finished")
    whole.read(YESTERDAY, AT + timedelta(hours=1), None, endpoint="usage")
    assert gaps(whole) == []


def test_each_endpoint_has_its_own(whole: Ledger) -> None:
    whole.read(YESTERDAY, AT, endpoint="images")
    found = gaps(whole, endpoints=["costs", "images"])
    assert {gap.endpoint for gap in found} == {"images"}
    assert days(found) == list(range(10, 19))


def test_what_an_organization_does_without_is_no_gap(whole: Ledger) -> None:
    for number in range(10):
        day = FIRST + timedelta(days=number)
        whole.read(day, AT, None, endpoint="images", unread="unsupported")
    assert gaps(whole, endpoints=["costs", "images"]) == []
    later = AT + timedelta(seconds=1)
    whole.read(YESTERDAY, later, None, endpoint="images")
    assert days(gaps(whole, endpoints=["images"])) == [19], "a failure all the same"
    whole.read(YESTERDAY, later, endpoint="images")
    assert days(gaps(whole, endpoints=["images"])) == list(range(10, 19)), "it answers after all"


def test_a_refusal_that_an_answer_did_not_change_is_no_gap(whole: Ledger) -> None:
    def refuse(number: int, hours: int) -> None:
        at = AT + timedelta(hours=hours)
        day = date(2026, 3, number)
        whole.read(day, at, None, endpoint="images", unread="unsupported")

    for number in range(10, 19):
        refuse(number, hours=0)
    refuse(12, hours=1)
    whole.read(YESTERDAY, AT + timedelta(hours=2), endpoint="images")
    assert days(gaps(whole, endpoints=["images"])) == list(range(10, 19)), "once more"
    for number in range(10, 18):
        refuse(number, hours=3)
    assert days(gaps(whole, endpoints=["images"])) == [18]
    whole.read(YESTERDAY, AT + timedelta(hours=4), endpoint="images")
    assert days(gaps(whole, endpoints=["images"])) == [18], "the others were confirmed"
    whole.read(date(2026, 3, 10), AT + timedelta(hours=5), None, endpoint="images")
    assert days(gaps(whole, endpoints=["images"])) == [10, 18], "a failure all the same"
    refuse(18, hours=4)
    refuse(18, hours=5)
    assert days(gaps(whole, endpoints=["images"])) == [10]


def test_an_answer_of_another_team_or_endpoint_confirms_nothing(whole: Ledger) -> None:
    for hours in (0, 2):
        at = AT + timedelta(hours=hours)
        whole.read(YESTERDAY, at, None, endpoint="images", unread="unsupported")
    for team, endpoint in (("search", "embeddings"), ("support", "images")):
        whole.read(FIRST, AT, None, endpoint=endpoint, team=team, unread="unsupported")
        whole.read(YESTERDAY, AT + timedelta(hours=1), endpoint=endpoint, team=team)
    whole.read(FIRST, AT + timedelta(hours=3), endpoint="images")
    found = gaps(whole, "search", "support", endpoints=["images", "embeddings"])
    of_images = [gap for gap in found if (gap.team_id, gap.endpoint) == ("search", "images")]
    assert days(of_images) == list(range(11, 20))


def test_the_first_day_is_that_of_all_endpoints_and_not_of_legacy_usage(ledger: Ledger) -> None:
    ledger.read(date(2026, 2, 1), AT, endpoint="legacy_usage")
    ledger.read(date(2026, 3, 1), AT, endpoint="embeddings")
    for number in range(15, 20):
        ledger.read(date(2026, 3, number), AT)
    assert days(gaps(ledger, endpoints=["costs"])) == list(range(1, 15))


def test_each_team_has_its_own(whole: Ledger) -> None:
    whole.read(date(2026, 3, 18), AT, team="support")
    found = gaps(whole, keys={"search": "a key", "support": "another"})
    assert [(gap.team_id, gap.day) for gap in found] == [("support", YESTERDAY)]
