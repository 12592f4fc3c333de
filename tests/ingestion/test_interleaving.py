"""Collections that overlap: the newest reading wins, and no money is doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

from finops_pipeline.ingestion.reading import ClientFactory
from finops_pipeline.openai_admin import AdminClient, CostsPage
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
        def costs(
            self, start: date, end: date, *, rows_per_bucket: int | None
        ) -> Iterator[CostsPage]:
            for page in super().costs(start, end, rows_per_bucket=rows_per_bucket):
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
