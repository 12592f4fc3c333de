"""Users are pseudonyms, and whoever is erased is in no byte of the data directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from finops_pipeline.ingestion.endpoints import USAGE_ENDPOINTS
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.ingestion.pseudonyms import forget, is_pseudonym, pseudonym, user_behind
from finops_pipeline.openai_admin import ENDPOINTS, AdminClient, UsageEndpoint, UsagePage
from finops_pipeline.registry import open_registry
from tests.ingestion.company import (
    DIGITAL,
    FIRST,
    IMPATIENT,
    LABS,
    SimulatedCompany,
    admin_key,
)

LAST = FIRST + timedelta(days=2)


def collect(company: SimulatedCompany, day: date = FIRST, **options: Any) -> Collection:
    return company.collect(day, LAST, endpoints=USAGE_ENDPOINTS, **options)


def users_on_the_wire(company: SimulatedCompany) -> set[str]:
    found: set[str] = set()
    for team in ("search", "research"):
        with company.client(team, lambda team=team: admin_key(team)) as client:  # type: ignore[misc]
            for endpoint in ENDPOINTS:
                for page in client.usage(endpoint, FIRST, LAST + timedelta(days=1)):
                    for bucket in page.buckets:
                        found |= set(filter(None, bucket.rows.column("user_id").to_pylist()))
    return found


def the_map(company: SimulatedCompany) -> dict[str, str]:
    return dict(company.raw("SELECT user_pseudonym, user_id FROM raw.user_pseudonyms"))


def files_with(company: SimulatedCompany, text: str) -> list[str]:
    return sorted(
        path.name
        for path in company.settings.data_dir.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    )


def erase(company: SimulatedCompany, name: str) -> bool:
    company.registry.erase_user(name)
    return forget(company.warehouse, name)


def test_user_ids_are_in_the_map_alone_and_then_in_no_byte(company: SimulatedCompany) -> None:
    company.server.control.set_wire(undocumented_fields=True)  # mail addresses among them
    # Several landings, so that the map has lain in several places of the file.
    for offset in range(3):
        collect(company, FIRST + timedelta(days=2 - offset))
    users = users_on_the_wire(company)
    assert len(users) >= 3
    known = the_map(company)
    assert set(known.values()) == users
    assert all(is_pseudonym(name) for name in known)
    seen = company.raw("SELECT DISTINCT user_id FROM raw.usage WHERE user_id IS NOT NULL")
    assert {name for (name,) in seen} == set(known)
    for user in users:
        assert files_with(company, user) == ["warehouse.duckdb"]
        assert files_with(company, f"{user}@") == []

    gone, *others = known
    assert erase(company, gone)
    assert files_with(company, known[gone]) == []
    assert set(the_map(company)) == set(others)
    for name in others:
        assert user_behind(company.warehouse, name) == known[name]
    assert user_behind(company.warehouse, gone) is None
    assert not erase(company, gone), "and again"
    # The usage itself stays.
    assert (gone,) in company.raw("SELECT DISTINCT user_id FROM raw.usage")


def test_later_readings_do_not_bring_an_erased_user_back(company: SimulatedCompany) -> None:
    collect(company)
    known = the_map(company)
    gone = next(iter(known))
    erase(company, gone)
    company.server.control.restate_usage(DIGITAL, FIRST, "completions", factor=Decimal(2))
    company.server.control.restate_usage(LABS, FIRST, "completions", factor=Decimal(2))
    collect(company)
    assert gone not in the_map(company)
    assert files_with(company, known[gone]) == []


def test_a_user_erased_while_a_collection_runs_stays_erased(company: SimulatedCompany) -> None:
    collect(company, teams=["search"])
    known = the_map(company)
    gone = next(iter(known))

    class Erasing(AdminClient):
        def usage(
            self, endpoint: UsageEndpoint, start: date, end: date, **options: Any
        ) -> Iterator[UsagePage]:
            yield from super().usage(endpoint, start, end, **options)
            erase(company, gone)

    def make(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        base_url = company.settings.openai_base_url
        return Erasing(team_id=team_id, base_url=base_url, api_key=api_key, retry=IMPATIENT)

    collect(company, make_client=make, teams=["search"])
    assert gone not in the_map(company)
    assert files_with(company, known[gone]) == []


def test_a_user_has_one_pseudonym_whoever_reads_it_and_whenever(company: SimulatedCompany) -> None:
    collect(company, teams=["search"])
    with open_registry(company.settings) as reopened:
        key = reopened.pseudonym_key()
    before = the_map(company)
    assert before == {pseudonym(key, user): user for user in before.values()}
    collect(company, teams=["support"])
    assert the_map(company) == before, "both teams see one organization"
    rows = company.raw("SELECT count(*) FROM raw.user_pseudonyms")
    assert rows == [(len(before),)], "each user once"


def test_without_the_key_usage_fails_and_nothing_lands_in_clear(company: SimulatedCompany) -> None:
    company.registry.pseudonym_key()
    with company.registry._database.writing() as session:
        session.connection().exec_driver_sql("UPDATE pseudonym_keys SET iv = zeroblob(12)")
    collection = collect(company, teams=["search"])
    (reason,) = collection.failed_teams.values()
    assert "key of user pseudonyms does not open" in reason
    assert "finops privacy renew-key" in reason
    assert company.count("usage") == 0
    company.registry.renew_pseudonym_key()
    assert collect(company, teams=["search"]).failed_teams == {}
