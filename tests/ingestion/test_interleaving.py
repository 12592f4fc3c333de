"""Collections that overlap: the newest reading wins, and no money is doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops_pipeline.ingestion.reading import ClientFactory
from finops_pipeline.openai_admin import AdminClient, CostsPage
from finops_pipeline.warehouse import Warehouse
from tests.ingestion.company import (
    DIGITAL,
    FIRST,
    IMPATIENT,
    LABS,
    SimulatedCompany,
    admin_key,
)

LAST = FIRST + timedelta(days=4)


def pausing(company: SimulatedCompany, meanwhile: Callable[[], object]) -> ClientFactory:
    """Clients that read a page, let ``meanwhile`` happen, and only then hand it on."""

    class Pausing(AdminClient):
        def costs(self, start: date, end: date, **options: Any) -> Iterator[CostsPage]:
            for page in super().costs(start, end, **options):
                meanwhile()
                yield page

    def make(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        base_url = company.settings.openai_base_url
        return Pausing(team_id=team_id, base_url=base_url, api_key=api_key, retry=IMPATIENT)

    return make


def test_what_was_read_first_and_lands_last_is_old(company: SimulatedCompany) -> None:
    # This key cannot list projects, so the load begins only with the page: it is the younger load.
    company.register("late", admin_key("costs-only"))

    def restated_and_collected() -> None:
        company.server.control.restate(DIGITAL, FIRST, "scale", factor=Decimal(3))
        assert company.collect(FIRST, teams=["late"]).rows_landed > 0

    late = company.collect(
        FIRST, teams=["late"], make_client=pausing(company, restated_and_collected)
    )
    assert late.rows_landed > 0, "both landed"
    assert company.seen("late") == company.truth(DIGITAL, FIRST)

    # The next collection compares with the newest reading, too.
    assert company.collect(FIRST, teams=["late"]).rows_landed == 0


def test_the_same_content_landed_twice_is_counted_once(company: SimulatedCompany) -> None:
    make_client = pausing(company, lambda: company.collect(FIRST, LAST, ["search"]))
    twice = company.collect(FIRST, LAST, ["search"], make_client=make_client)
    assert all(bucket.changed for bucket in twice.buckets)
    assert company.raw("SELECT count(DISTINCT revision_id) FROM raw.collections") == [(10,)]
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)
    assert company.collect(FIRST, LAST, ["search"]).rows_landed == 0


def test_emptied_while_another_run_reads(company: SimulatedCompany) -> None:
    def emptied_and_collected() -> None:
        company.server.control.restate(DIGITAL, FIRST, "empty")
        company.collect(FIRST, teams=["search"])

    company.collect(FIRST, teams=["search"], make_client=pausing(company, emptied_and_collected))
    assert company.seen("search") == {}


def test_two_collections_at_once(company: SimulatedCompany) -> None:
    with ThreadPoolExecutor(2) as executor:
        runs = [executor.submit(company.collect, FIRST, LAST) for _ in range(2)]
        collections = [run.result() for run in runs]
    assert [collection.failed_teams for collection in collections] == [{}, {}]
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)
    assert company.seen("research") == company.truth(LABS, FIRST, LAST)
    assert company.count("collections") == 2 * 3 * 5


@dataclass
class Turns:
    """Lets things happen in exactly this order, whichever thread wants to do them first."""

    order: list[str]
    taken: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        with self.changed:
            assert self.changed.wait_for(lambda: self.order[len(self.taken)] == name, timeout=30)
        try:
            yield
        finally:
            with self.changed:
                self.taken.append(name)
                self.changed.notify_all()


def in_turn(company: SimulatedCompany, name: str, turns: Turns) -> tuple[Warehouse, ClientFactory]:
    """Warehouse and clients of a collection that reads and lands only when it is its turn."""

    class InTurn(Warehouse):
        @contextmanager
        def writing(self, purpose: str) -> Iterator[None]:
            if purpose != "loading raw tables":
                with super().writing(purpose):
                    yield
                return
            with turns.turn(f"{name} lands"), super().writing(purpose):
                yield

    class Reader(AdminClient):
        def costs(self, start: date, end: date, **options: Any) -> Iterator[CostsPage]:
            with turns.turn(f"{name} reads"):
                pages = list(super().costs(start, end, **options))
            yield from pages

    def make(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        base_url = company.settings.openai_base_url
        return Reader(team_id=team_id, base_url=base_url, api_key=api_key, retry=IMPATIENT)

    return InTurn(company.settings.data_dir, memory_limit="512MB"), make


ORDERS = [
    ["one reads", "one lands", "two reads", "two lands"],
    ["one reads", "two reads", "one lands", "two lands"],
    ["one reads", "two reads", "two lands", "one lands"],
    ["two reads", "one reads", "one lands", "two lands"],
    ["two reads", "one reads", "two lands", "one lands"],
    ["two reads", "two lands", "one reads", "one lands"],
]
"""Every order in which two collections can read and land."""

TEN = (FIRST, FIRST + timedelta(days=9))
OVERLAPPING = (FIRST + timedelta(days=5), FIRST + timedelta(days=13))
ONE_OLD_DAY = (FIRST + timedelta(days=7), FIRST + timedelta(days=7))


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("second", [OVERLAPPING, ONE_OLD_DAY], ids=["backfill", "old day"])
def test_two_collections_in_every_order_with_a_restatement_between_them(
    company: SimulatedCompany, order: list[str], second: tuple[date, date]
) -> None:
    restated = second[0] + (timedelta(days=2) if second == OVERLAPPING else timedelta(0))
    company.collect(restated, restated, ["search"])  # so that there is something to restate
    between = [*order[:1], "restated", *order[1:]]
    turns = Turns(between)

    def collect(name: str, days: tuple[date, date]) -> object:
        warehouse, make_client = in_turn(company, name, turns)
        return replace(company, warehouse=warehouse).collect(
            *days, ["search"], make_client=make_client
        )

    with ThreadPoolExecutor(2) as executor:
        runs = [executor.submit(collect, *which) for which in (("one", TEN), ("two", second))]
        with turns.turn("restated"):
            company.server.control.restate(DIGITAL, restated, "scale", factor=Decimal(3))
        for run in runs:
            run.result()

    assert turns.taken == between
    assert company.seen("search") == company.truth(DIGITAL, FIRST, max(TEN[1], second[1]))
    ((entries,),) = company.raw("SELECT count(*) FROM raw.collections")
    assert entries == 1 + 10 + (second[1] - second[0]).days + 1
    # Nothing is new to whoever comes next, in whichever order these two have landed.
    assert company.collect(*TEN, ["search"]).rows_landed == 0
