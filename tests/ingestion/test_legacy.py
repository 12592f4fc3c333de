"""Legacy usage: a team's day is one bucket, told by all of its project keys, or it failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from finops_pipeline.ingestion import collect as collecting
from finops_pipeline.ingestion.collect import OnProgress
from finops_pipeline.ingestion.legacy import collect_legacy
from finops_pipeline.ingestion.outcome import Collection, Progress, in_words
from finops_pipeline.openai_admin import LegacyClient, Pacer
from finops_pipeline.registry import ProjectKey
from finops_pipeline.simulator import Fault, LegacyLimit, Scenario
from finops_pipeline.simulator.model import (
    Registration,
    SimulatedOrganization,
    SimulatedProject,
    SuggestedProject,
    SuggestedTeam,
)
from tests.ingestion.company import FIRST, IMPATIENT, NOW, SimulatedCompany, admin_key

PROJECTS = {"ranking": "search", "answers": "search", "agents": "research"}
USES = {
    "ranking": ("gpt-4o-2024-08-06", "ft-gpt-4o-mini-2024-07-18", "text-embedding-3-small"),
    "answers": ("Image models", "whisper-1", "tts-1"),
    "agents": ("batch | gpt-4.1-2025-04-14",),
}
TEAMS = ("research", "search", "support")


def project_key(name: str) -> str:
    return f"sk-proj-{'0123456789abcdef' * 2}-{name}"


@pytest.fixture
def company(make_company: Callable[[Scenario], SimulatedCompany]) -> SimulatedCompany:
    """Two teams with project keys, and one that has none."""
    organization = SimulatedOrganization(
        id="org-1",
        name="One",
        admin_keys=[admin_key(team) for team in TEAMS],
        projects=tuple(
            SimulatedProject(
                id=f"proj_{name}",
                uses=uses,
                keys=(project_key(name), project_key(f"{name}-rotated")),
            )
            for name, uses in USES.items()
        ),
    )
    company = make_company(
        Scenario(
            start=FIRST,
            now=NOW,
            organizations=(organization,),
            legacy_limit=LegacyLimit(calls=1000),
            registration=Registration(
                teams=tuple(
                    SuggestedTeam(
                        team_id=team,
                        name=team,
                        cost_center="CC-1",
                        owner_email="lead@acme.example",
                        admin_key=admin_key(team),
                    )
                    for team in TEAMS
                ),
                projects=tuple(
                    SuggestedProject(
                        project_id=name,
                        name=name,
                        team_id=team,
                        openai_project_id=f"proj_{name}",
                    )
                    for name, team in PROJECTS.items()
                ),
            ),
        )
    )
    for project in company.server.scenario.registration.projects:
        company.registry.add_project(
            project.project_id,
            team_id=project.team_id,
            openai_project_id=project.openai_project_id,
        )
        register(company, project.project_id)
    return company


def register(company: SimulatedCompany, project: str) -> None:
    company.registry.register_key(PROJECTS[project], project_key(project), project_id=project)


def collect(
    company: SimulatedCompany,
    days: int = 1,
    teams: Sequence[str] = (),
    *,
    run_id: str = "a-run",
    resumed_runs: Sequence[str] = (),
    on_progress: OnProgress = lambda _: None,
) -> Collection:
    def make_client(team_id: str, key: ProjectKey, api_key: Callable[[], str]) -> LegacyClient:
        return LegacyClient(
            team_id=team_id,
            project_id=key.project_id,
            openai_project_id=key.openai_project_id,
            base_url=company.settings.openai_base_url,
            api_key=api_key,
            pacer=Pacer(0.0),
            retry=IMPATIENT,
        )

    return collect_legacy(
        warehouse=company.warehouse,
        teams=company.registry.teams_with_project_keys(teams or None),
        registry=company.registry,
        make_client=make_client,
        start=FIRST,
        end=FIRST + timedelta(days=days - 1),
        run_id=run_id,
        concurrency=3,
        resumed_runs=resumed_runs,
        on_progress=on_progress,
    )


def asked(company: SimulatedCompany) -> Counter[tuple[str | None, str]]:
    """How often each key asked for each day."""
    return Counter((call.last4, call.query) for call in company.server.control.requests())


def statuses(company: SimulatedCompany) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for team, status in company.entries("team_id, status"):
        found.setdefault(team, []).append(status)
    return found


def test_a_teams_day_is_one_bucket_of_all_its_keys(company: SimulatedCompany) -> None:
    collection = collect(company)
    assert not collection.failed_teams
    assert collection.calls == 3
    assert company.entries(
        "team_id, endpoint, cost_date, status, key_fingerprint, query_signature, cost"
    ) == [
        ("research", "legacy_usage", FIRST, "ok", None, "proj_agents", None),
        ("search", "legacy_usage", FIRST, "ok", None, "proj_answers,proj_ranking", None),
    ], "and nothing of the team without project keys"
    lists = company.raw(
        "SELECT key_project_id, dataset, count(*) > 0, any_value(endpoint) FROM raw.legacy_usage "
        "WHERE openai_project_id = key_project_id GROUP BY ALL ORDER BY ALL"
    )
    assert lists == [
        ("proj_agents", "data", True, "legacy_usage"),
        ("proj_answers", "dalle_api_data", True, "legacy_usage"),
        ("proj_answers", "tts_api_data", True, "legacy_usage"),
        ("proj_answers", "whisper_api_data", True, "legacy_usage"),
        ("proj_ranking", "data", True, "legacy_usage"),
        ("proj_ranking", "ft_data", True, "legacy_usage"),
    ]
    ((rows,),) = company.raw("SELECT sum(row_count) FROM raw.collections")
    ((slots, first, last),) = company.raw(
        "SELECT count(DISTINCT (dataset, model, operation, aggregation_at)), "
        "min(aggregation_at), max(aggregation_at) FROM raw.legacy_usage"
    )
    assert rows == company.count("legacy_usage") == slots
    assert {first.astimezone(UTC).date(), last.astimezone(UTC).date()} == {FIRST}


def test_each_key_is_decrypted_once_and_on_record(company: SimulatedCompany) -> None:
    before = len(company.registry.audit_entries())
    collect(company, days=3)
    decrypted = [
        (entry.action, entry.project_id) for entry in company.registry.audit_entries()[before:]
    ]
    assert sorted(decrypted) == [
        ("key.decrypt", "agents"),
        ("key.decrypt", "answers"),
        ("key.decrypt", "ranking"),
    ]


def test_the_same_again_lands_no_row_and_another_key_is_another_content(
    company: SimulatedCompany,
) -> None:
    company.registry.deactivate_key("search", project_id="answers")
    collect(company, teams=["search"])
    rows = company.count("legacy_usage")
    again = collect(company, teams=["search"])
    assert (again.rows_landed, company.count("legacy_usage")) == (0, rows)
    assert len({revision for (revision,) in company.entries("revision_id")}) == 1
    register(company, "answers")
    assert collect(company, teams=["search"]).rows_landed > rows
    assert [signature for (signature,) in company.entries("query_signature")] == [
        "proj_ranking",
        "proj_ranking",
        "proj_answers,proj_ranking",
    ]


def test_interrupted_and_resumed_only_the_rest_is_read(
    company: SimulatedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had landed is not asked for again, and every row is there once."""
    days = 5

    def interrupt(progress: Progress) -> None:
        if progress.loads == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collecting, "_LOAD_ROWS", 1)
        with pytest.raises(KeyboardInterrupt):
            collect(company, days, on_progress=interrupt)
    landed = {(team, day) for team, day in company.entries("team_id, cost_date")}
    assert 2 <= len(landed) < 2 * days
    company.server.control.reset_requests()

    resumed = collect(company, days, run_id="another", resumed_runs=["a-run"])

    assert not resumed.failed_teams
    assert len(resumed.read_before) == len(landed)
    rest = {
        (project_key(project)[-4:], f"date={FIRST + timedelta(days=number)}")
        for project, team in PROJECTS.items()
        for number in range(days)
        if (team, FIRST + timedelta(days=number)) not in landed
    }
    assert set(asked(company)) == rest
    entries = company.entries("team_id, cost_date")
    assert len(entries) == len(set(entries)) == 2 * days
    resumed_rows = company.raw(
        "SELECT * EXCLUDE (revision_id, _dlt_load_id) FROM raw.legacy_usage ORDER BY ALL"
    )
    assert len(resumed_rows) == len(set(resumed_rows))


def test_one_bad_key_fails_its_team_alone(company: SimulatedCompany) -> None:
    company.server.control.plant_fault(
        Fault(kind="status", status=401, key=project_key("ranking"), code="invalid_api_key")
    )
    collection = collect(company, days=4)
    assert statuses(company) == {"research": ["ok"] * 4, "search": ["failed"] * 4}
    assert list(collection.failed_teams) == ["search"]
    assert "project 'ranking' on 2026-01-01" in collection.failed_teams["search"]
    assert "finops key rotate search --type project --project ranking" in str(
        collection.failed_teams["search"]
    )
    ((count,),) = company.raw("SELECT count(*) FROM raw.legacy_usage WHERE team_id = 'search'")
    assert count == 0, "a part of a day would look like the whole"


def test_one_bad_answer_fails_its_day_alone(company: SimulatedCompany) -> None:
    """And one 429 fails nothing."""
    company.server.control.plant_fault(
        Fault(kind="missing_data", key=project_key("agents"), nth=2, times=1)
    )
    company.server.control.plant_fault(
        Fault(kind="status", status=429, retry_after=0, key=project_key("answers"), times=1)
    )
    collect(company, days=4)
    assert statuses(company) == {
        "research": ["ok", "failed", "ok", "ok"],
        "search": ["ok"] * 4,
    }


def test_an_outage_is_given_up_after_three_days(company: SimulatedCompany) -> None:
    company.server.control.plant_fault(Fault(kind="status", status=503))
    collection = collect(company, days=30, teams=["research"])
    assert statuses(company) == {"research": ["failed"] * 30}
    assert collection.calls == 3 * IMPATIENT.attempts


def test_a_key_that_is_rotated_meanwhile_is_read_again(
    company: SimulatedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.server.control.plant_fault(
        Fault(kind="status", status=401, key=project_key("agents"), code="invalid_api_key", nth=2)
    )
    teams = company.registry.teams_with_project_keys(["research"])
    company.registry.rotate_key("research", project_key("agents-rotated"), project_id="agents")
    monkeypatch.setattr(company.registry, "teams_with_project_keys", lambda _: teams)
    assert not collect(company, days=3).failed_teams
    used = [call.last4 for call in company.server.control.requests()]
    assert used == ["ents", "ents", "ated", "ated"]


def test_no_project_key_is_nothing_to_do(company: SimulatedCompany) -> None:
    collection = collect(company, teams=["support"])
    assert (collection.teams, collection.buckets) == ([], [])
    assert company.count("collections") == 0


def test_progress_says_why_it_is_slow_and_how_long_it_takes(company: SimulatedCompany) -> None:
    said: list[Any] = []
    collect(company, days=4, on_progress=lambda progress: said.append(in_words(progress)))
    assert said[0].endswith(
        "about 37 s to go (OpenAI takes 5 calls a minute and key, and a call is one day)."
    )


def test_today_is_no_day_yet(company: SimulatedCompany) -> None:
    company.server.control.set_clock(datetime(2026, 1, 1, 20, tzinfo=UTC))
    collection = collect(company, teams=["research"])
    assert "not over by the API's clock" in collection.failed_teams["research"]
