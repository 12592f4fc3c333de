"""Every decryption is one entry of the audit log, from many threads at once and in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.registry.records import AuditEntry
from finops_pipeline.settings import Settings
from finops_pipeline.simulator import Scenario
from tests.registry.kms import Kms, moto_kms, scripted_kms, set_up_boto
from tests.registry.postgresql import on_both

if TYPE_CHECKING:
    from tests.workplace import Workplace

SQL = Callable[..., list[tuple[Any, ...]]]


def decryptions(registry: Registry) -> list[AuditEntry]:
    return [entry for entry in registry.audit_entries() if entry.action == "key.decrypt"]


def test_who_opened_which_key_in_which_run(settings: Settings, key: str) -> None:
    with open_registry(settings, on_behalf_of="Ada", run_id="run-1") as registry:
        registry.add_team("web")
        stored = registry.register_key("web", key)
        active = registry.active_admin_key("web")
        assert active is not None
        assert decryptions(registry) == []
        active.reveal()
        active.reveal()
        first, second = decryptions(registry)

    assert first.entry_hash != second.entry_hash
    for entry in (first, second):
        assert (entry.run_id, entry.team_id, entry.key_id) == ("run-1", "web", stored.key_id)
        assert (entry.on_behalf_of, entry.outcome, entry.before, entry.after) == (
            "Ada",
            "done",
            None,
            None,
        )


def test_a_key_that_does_not_open_is_an_entry_too(registry: Registry, sql: SQL, key: str) -> None:
    registry.add_team("web")
    registry.register_key("web", key)
    sql("UPDATE api_keys SET iv = x'00'")
    active = registry.active_admin_key("web")
    assert active is not None
    with pytest.raises(FinopsError) as error:
        active.reveal()

    (entry,) = decryptions(registry)
    assert (entry.outcome, entry.detail) == ("refused", error.value.message)


def test_what_cannot_be_recorded_is_not_opened(registry: Registry, sql: SQL, key: str) -> None:
    registry.add_team("web")
    registry.register_key("web", key)
    active = registry.active_admin_key("web")
    assert active is not None
    sql("DROP TABLE audit_head")
    with pytest.raises(FinopsError, match="does not answer as expected"):
        active.reveal()


@on_both
def test_many_threads_are_recorded_one_by_one(settings: Settings, key: str) -> None:
    with open_registry(settings, run_id="run-1") as registry:
        for number in range(24):
            registry.add_team(f"team-{number}")
            registry.register_key(f"team-{number}", key)
        with ThreadPoolExecutor(16) as pool:
            keys = [team.key for team in registry.collectable_teams(None)]
            opened = list(pool.map(lambda each: each.reveal() if each else None, keys))
        assert opened == [key] * 24
        assert len({entry.team_id for entry in decryptions(registry)}) == 24
        assert registry.verify_audit().problems == ()


@pytest.fixture(scope="module")
def server() -> Iterator[Kms]:
    with moto_kms() as server:
        yield server


def test_runs_open_each_teams_key_in_kms_or_say_why_not(
    make_workplace: Callable[..., Workplace], server: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_boto(monkeypatch, server.endpoint)
    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 1, 15, 9, tzinfo=UTC))
    workplace = make_workplace(scenario, kms_key_id=server.new_key())
    teams = sorted(team.team_id for team in scenario.registration.teams)

    read = workplace.collect(date(2026, 1, 5), date(2026, 1, 6))
    with scripted_kms() as denying:
        denying.refuse("AccessDeniedException", times=len(teams))
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", denying.endpoint)
        denied = workplace.collect(date(2026, 1, 5), date(2026, 1, 5))

    assert read.failed_teams == {}
    assert sorted(denied.failed_teams) == teams
    for team_id, reason in denied.failed_teams.items():
        assert "denies kms:Decrypt" in reason
        assert f"permissions or key policy. It was asked for the admin key of team {team_id}" in (
            reason
        )
    with open_registry(workplace.settings) as registry:
        entries = decryptions(registry)
        assert all(key.wrapped_by.startswith("kms:") for key in registry.active_keys())
    assert sorted((entry.run_id, entry.outcome, entry.team_id) for entry in entries) == sorted(
        (collection.run_id, outcome, team_id)
        for collection, outcome in ((read, "done"), (denied, "refused"))
        for team_id in teams
    )
    assert not workplace.settings.key_file.exists()
