"""A team fails alone, loudly, with its reason; a later run fills exactly the gap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from finops_pipeline.openai_admin import AdminClient
from finops_pipeline.simulator import Fault
from finops_pipeline.simulator.faults import FaultKind
from tests.ingestion.company import (
    DIGITAL,
    FIRST,
    LABS,
    TEAMS,
    Company,
    SimulatedCompany,
    admin_key,
)
from tests.openai_admin.conftest import Reply, ScriptedServer, bucket, page, row

LAST = FIRST + timedelta(days=3)
DAYS = 4


def statuses(company: Company, team: str) -> list[str]:
    """Of each day's newest reading."""
    return [
        status
        for (status,) in company.raw(
            "SELECT arg_max(status, collected_at) FROM raw.collections "
            "WHERE team_id = $team GROUP BY cost_date ORDER BY cost_date",
            team=team,
        )
    ]


@pytest.mark.parametrize("rerun", [["research"], []], ids=["that team", "all teams"])
def test_one_team_is_down_for_ever_and_filled_in_later(
    company: SimulatedCompany, rerun: list[str]
) -> None:
    company.server.control.plant_fault(Fault(kind="status", key=admin_key("research")))
    collection = company.collect(FIRST, LAST)

    assert set(collection.failed_teams) == {"research"}
    assert "OpenAI answered 500" in collection.failed_teams["research"]
    assert "'research'" in collection.failed_teams["research"]
    for team in ("search", "support"):
        assert company.seen(team) == company.truth(DIGITAL, FIRST, LAST)
    failed = company.entries(
        "cost_date, error, revision_id, row_count, cost, key_fingerprint IS NULL",
        "team_id = 'research' AND status = 'failed'",
    )
    reason = collection.failed_teams["research"]
    assert failed == [
        (FIRST + timedelta(days=day), reason, None, None, None, False) for day in range(DAYS)
    ]
    assert company.seen("research") == {}

    company.server.control.clear_faults()
    rows = company.count("costs")
    again = company.collect(FIRST, LAST, rerun)
    assert again.failed_teams == {}
    assert again.rows_landed == company.count("costs") - rows > 0
    assert {bucket.team_id for bucket in again.buckets if bucket.changed} == {"research"}
    assert company.seen("research") == company.truth(LABS, FIRST, LAST)
    assert statuses(company, "research") == ["ok"] * DAYS


def test_each_reason_is_told_with_its_fix(company: SimulatedCompany) -> None:
    company.register("keyless")
    company.register("mistyped", admin_key("nobody"))
    company.register("narrow", admin_key("lists-only"))
    company.register("nameless", admin_key("costs-only"))

    collection = company.collect(FIRST)

    reasons = collection.failed_teams
    assert set(reasons) == {"keyless", "mistyped", "narrow"}
    assert "has no active admin key" in reasons["keyless"]
    assert "finops key register keyless" in reasons["keyless"]
    assert "does not accept the key" in reasons["mistyped"]
    assert "finops key rotate mistyped" in reasons["mistyped"]
    assert "lacks the scope api.usage.read" in reasons["narrow"]
    for team, reason in reasons.items():
        assert company.entries("status, error", f"team_id = '{team}'") == [("failed", reason)]
        assert admin_key("nobody") not in reason
    assert company.entries("key_id", "team_id = 'keyless'") == [(None,)]
    # A key that may read costs and not list projects is good enough.
    for team in ("search", "nameless"):
        assert company.seen(team) == company.truth(DIGITAL, FIRST)
    assert {team.team_id for team in collection.teams} == {*TEAMS, *reasons, "nameless"}


def test_what_came_before_the_break_stays(scripted: Company, server: ScriptedServer) -> None:
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    server.play(
        Reply(status=403, body={"error": "no"}),
        Reply(page(bucket(days[0], row(1)), bucket(days[1]), next_page="second")),
    )
    server.otherwise = lambda _: Reply({"object": "page", "has_more": False})

    collection = scripted.collect(FIRST, LAST)

    assert statuses(scripted, "growth") == ["ok", "ok", "failed", "failed"]
    assert scripted.raw("SELECT cost_date FROM raw.costs") == [(days[0],)]
    errors = scripted.entries("error", "status = 'failed'")
    assert errors == [(collection.failed_teams["growth"],)] * 2
    assert "page 2" in errors[0][0]

    # Once the API is well again, the days that arrived are not landed again.
    server.otherwise = lambda _: Reply(
        page(bucket(days[0], row(1)), bucket(days[1]), bucket(days[2], row(2)), bucket(days[3]))
    )
    again = scripted.collect(FIRST, LAST)
    assert [bucket.day for bucket in again.buckets if bucket.changed] == days[2:]
    assert again.rows_landed == 1


@pytest.mark.parametrize("fault", ["truncated", "garbage", "missing_data", "missing_token"])
def test_nothing_of_a_broken_answer_counts(company: SimulatedCompany, fault: FaultKind) -> None:
    company.server.control.plant_fault(Fault(kind=fault, endpoint="costs", organization_id=LABS))
    collection = company.collect(FIRST, LAST)
    assert set(collection.failed_teams) == {"research"}
    assert "page 1" in collection.failed_teams["research"]
    assert statuses(company, "research") == ["failed"] * DAYS
    assert company.seen("research") == {}
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)


def test_a_key_rotated_in_mid_run_goes_on(company: SimulatedCompany) -> None:
    """The run has already read the old key when OpenAI stops taking it."""
    old = company.registry.active_admin_key("search")
    company.server.control.plant_fault(
        Fault(
            kind="status",
            status=401,
            code="invalid_api_key",
            message="Incorrect API key provided.",
            key=admin_key("search"),
        )
    )

    def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        if team_id == "search":
            company.registry.rotate_key("search", admin_key("search-rotated"))
        return company.client(team_id, api_key)

    collection = company.collect(FIRST, LAST, make_client=make_client)

    new = company.registry.active_admin_key("search")
    assert old is not None
    assert new is not None
    assert collection.failed_teams == {}
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)
    assert company.entries("DISTINCT key_id, key_fingerprint", "team_id = 'search'") == [
        (new.key_id, new.fingerprint)
    ]
    assert old.fingerprint != new.fingerprint


def test_days_that_are_not_over_by_the_apis_clock_are_no_reading(
    company: SimulatedCompany,
) -> None:
    company.server.control.set_clock(datetime(2026, 1, 3, 0, 0, 30, tzinfo=UTC))
    collection = company.collect(FIRST, LAST, ["search"])
    assert statuses(company, "search") == ["ok", "ok", "failed", "failed"]
    assert "not over yet by the API's clock" in collection.failed_teams["search"]
    assert "2026-01-03 00:00:30" in collection.failed_teams["search"]
    landed = company.raw("SELECT max(cost_date) FROM raw.costs")
    assert landed == [(FIRST + timedelta(days=1),)]

    company.server.control.set_clock(datetime(2026, 1, 5, tzinfo=UTC))
    assert company.collect(FIRST, LAST, ["search"]).failed_teams == {}
    assert company.seen("search") == company.truth(DIGITAL, FIRST, LAST)


def test_an_unforeseen_error_fails_its_team_and_its_text_goes_nowhere(
    company: SimulatedCompany, caplog: pytest.LogCaptureFixture
) -> None:
    def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        if team_id == "research":
            raise RuntimeError(f"something about {api_key()}")
        return company.client(team_id, api_key)

    collection = company.collect(FIRST, make_client=make_client)
    assert collection.failed_teams == {
        "research": "The reading broke off (RuntimeError); see the run's log."
    }
    assert company.seen("search") == company.truth(DIGITAL, FIRST)
    assert "team research broke off with RuntimeError" in caplog.text
    assert "in make_client" in caplog.text
    assert admin_key("research") not in caplog.text


def test_a_key_of_another_organization_is_refused_although_it_is_answered(
    company: SimulatedCompany,
) -> None:
    company.registry.deactivate_key("search")
    company.registry.register_key("search", admin_key("search"), organization_id="org-of-search")

    collection = company.collect(FIRST, LAST)

    assert set(collection.failed_teams) == {"search"}
    assert (
        f"opens organization {DIGITAL} and not org-of-search" in collection.failed_teams["search"]
    )
    assert statuses(company, "search") == ["failed"] * DAYS
    assert company.seen("search") == {}
