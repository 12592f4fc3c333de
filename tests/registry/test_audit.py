"""The audit log: everything is in it, nothing of a key is, and tampering shows."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.registry.audit import FIRST_HASH
from finops_pipeline.settings import Settings
from tests.registry.postgresql import on_both

SQL = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """With five entries."""
    for team in ("web", "mobile", "data"):
        registry.add_team(team)
    registry.add_project("search", team_id="web", openai_project_id="proj_1")
    registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))
    return registry


def open_to_attackers(settings: Settings, sql: SQL) -> None:
    """Take away what refuses changes, as only the owner of the database can."""
    if settings.registry_url is None:
        sql("DROP TRIGGER audit_log_no_update")
        sql("DROP TRIGGER audit_log_no_delete")
    else:
        sql("DROP TRIGGER audit_log_append_only ON audit_log")


@on_both
def test_an_entry_says_who_did_what_for_whom_and_when(settings: Settings) -> None:
    before = datetime.now(UTC)
    with open_registry(settings, on_behalf_of="Ann Example") as registry:
        registry.add_team("web", cost_center="CC-1")
        registry.set_team("web", cost_center="CC-2", effective=date(2026, 3, 1))
        registry.deactivate_team("web")
        added, changed, ended = registry.audit_entries()

    user = pwd.getpwuid(os.getuid()).pw_name
    for entry in (added, changed, ended):
        assert (entry.actor, entry.on_behalf_of, entry.team_id) == (user, "Ann Example", "web")
        assert entry.outcome == "done"
        assert before <= entry.recorded_at <= datetime.now(UTC)
    assert [entry.sequence for entry in (added, changed, ended)] == [1, 2, 3]
    assert added.action == "team.add"
    assert added.before is None
    assert json.loads(added.after or "")["cost_center"] == "CC-1"
    assert changed.action == "team.set"
    assert json.loads(changed.before or "") == {"cost_center": "CC-1"}
    assert json.loads(changed.after or "") == {"cost_center": "CC-2", "effective": "2026-03-01"}
    assert ended.action == "team.deactivate"


def test_a_move_and_an_unchecked_project_are_told(filled: Registry) -> None:
    *_, added, moved = filled.audit_entries()

    assert (added.action, added.team_id, added.project_id) == ("project.add", "web", "search")
    after = json.loads(added.after or "")
    assert after["validated"] is False
    assert after["owners"] == [{"team_id": "web", "valid_from": None}]
    assert (moved.action, moved.team_id) == ("project.move", "mobile")
    assert json.loads(moved.before or "") == {"team_id": "web"}
    assert json.loads(moved.after or "")["effective"] == "2026-03-01"


@on_both
def test_a_refused_attempt_is_an_entry_too_and_changes_nothing(filled: Registry) -> None:
    with pytest.raises(UsageError):
        filled.add_team("web")
    newest = filled.audit_entries()[-1]

    assert (newest.action, newest.outcome, newest.team_id) == ("team.add", "refused", "web")
    assert newest.detail is not None
    assert "already registered" in newest.detail
    assert newest.after is None
    assert filled.verify_audit().problems == ()


def test_a_key_in_the_place_of_a_name_is_in_no_entry(
    registry: Registry, key: str, sql: SQL
) -> None:
    with pytest.raises(UsageError):
        registry.add_team(key)
    with pytest.raises(UsageError):
        registry.add_project(key, team_id=key, openai_project_id=key)
    with pytest.raises(UsageError):
        registry.move_project(key, team_id=key, effective=date(2026, 3, 1))
    assert len(registry.audit_entries()) == 3
    assert key[9:21] not in str(sql("SELECT * FROM audit_log"))


def test_a_change_that_changes_nothing_is_no_entry(filled: Registry) -> None:
    before = filled.audit_entries()
    filled.set_team("web", team_name="web")
    assert filled.audit_entries() == before


def test_the_newest_entries_of_one_team(filled: Registry) -> None:
    assert [entry.sequence for entry in filled.audit_entries(limit=2)] == [4, 5]
    assert [entry.sequence for entry in filled.audit_entries("web")] == [1, 4]
    assert filled.audit_entries("nobody") == []


@on_both
def test_a_whole_log_gives_its_length_and_its_newest_hash(filled: Registry) -> None:
    found = filled.verify_audit()

    assert (found.entries, found.problems) == (5, ())
    assert found.newest_hash == filled.audit_entries()[-1].entry_hash
    noted = found.newest_hash
    filled.add_team("later")
    assert filled.verify_audit(noted).problems == ()
    assert filled.verify_audit(FIRST_HASH).problems == ()
    assert "no entry has the noted hash" in filled.verify_audit("f" * 64).problems[0]


@on_both
def test_an_empty_log_is_whole(registry: Registry) -> None:
    found = registry.verify_audit()
    assert (found.entries, found.newest_hash, found.problems) == (0, FIRST_HASH, ())


@on_both
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'somebody' WHERE sequence = 2",
        "DELETE FROM audit_log WHERE sequence = 2",
    ],
)
def test_the_database_refuses_to_change_an_entry(
    filled: Registry, sql: SQL, statement: str
) -> None:
    with pytest.raises(Exception, match="the audit log is append-only"):
        sql(statement)
    assert filled.verify_audit().problems == ()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recorded_at", "2026-01-01 00:00:00"),
        ("actor", "somebody"),
        ("on_behalf_of", "somebody"),
        ("run_id", "run"),
        ("action", "team.set"),
        ("outcome", "refused"),
        ("team_id", "other"),
        ("project_id", "other"),
        ("key_id", "other"),
        ("before", "{}"),
        ("after", "{}"),
        ("detail", "other"),
    ],
)
def test_an_edited_entry_is_named(
    filled: Registry, settings: Settings, sql: SQL, column: str, value: str
) -> None:
    open_to_attackers(settings, sql)
    sql(f"UPDATE audit_log SET {column} = '{value}' WHERE sequence = 3")
    assert filled.verify_audit().problems == ("entry 3 was edited",)


@on_both
def test_an_edited_entry_with_its_hash_made_anew_does_not_fit_the_next(
    filled: Registry, settings: Settings, sql: SQL
) -> None:
    open_to_attackers(settings, sql)
    sql(f"UPDATE audit_log SET entry_hash = '{'a' * 64}' WHERE sequence = 3")
    assert filled.verify_audit().problems == (
        "entry 3 was edited",
        "entry 4 does not follow from the one before it",
    )


@on_both
@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("sequence = 1", "missing: entry 1"),
        ("sequence = 3", "missing: entry 3"),
        ("sequence IN (2, 3)", "missing: entry 2 to 3"),
        ("sequence = 5", "missing or edited at the end: the newest entry was 5"),
        ("sequence > 0", "missing or edited at the end: the newest entry was 5"),
    ],
)
def test_a_missing_entry_is_named(
    filled: Registry, settings: Settings, sql: SQL, where: str, problem: str
) -> None:
    open_to_attackers(settings, sql)
    sql(f"DELETE FROM audit_log WHERE {where}")
    assert filled.verify_audit().problems == (problem,)


@on_both
def test_two_exchanged_entries_are_named(filled: Registry, settings: Settings, sql: SQL) -> None:
    open_to_attackers(settings, sql)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        sql(f"UPDATE audit_log SET sequence = {new} WHERE sequence = {old}")
    problems = filled.verify_audit().problems
    assert "entry 2 was edited" in problems
    assert "entry 3 was edited" in problems


@on_both
def test_a_tail_that_is_cut_off_with_its_head_shows_by_a_noted_hash(
    filled: Registry, settings: Settings, sql: SQL
) -> None:
    noted = filled.verify_audit().newest_hash
    earlier = filled.audit_entries()[3]
    open_to_attackers(settings, sql)
    sql("DELETE FROM audit_log WHERE sequence = 5")
    sql(f"UPDATE audit_head SET sequence = 4, entry_hash = '{earlier.entry_hash}'")

    assert filled.verify_audit().problems == ()
    assert "no entry has the noted hash" in filled.verify_audit(noted).problems[0]


def test_a_missing_head_is_named(filled: Registry, sql: SQL) -> None:
    sql("DELETE FROM audit_head")
    assert filled.verify_audit().problems == ("the record of the newest entry is missing",)


def test_a_failed_change_leaves_no_entry_of_it(
    filled: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise FinopsError("broken off")

    monkeypatch.setattr("finops_pipeline.registry.teams.check_ancestors", fail)
    with pytest.raises(FinopsError, match="broken off"):
        filled.set_team("web", cost_center="CC-9")
    assert [entry.outcome for entry in filled.audit_entries()][5:] == ["refused"]
    assert {team.cost_center for team in filled.list_teams()} == {None}
