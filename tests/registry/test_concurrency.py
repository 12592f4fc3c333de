"""Several operators at once: nothing is lost, nothing is there twice, the audit log is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import text

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, database, open_registry
from finops_pipeline.settings import Settings
from tests.registry.postgresql import on_both

OPERATORS = 4
FIRST = date(2026, 1, 1)

pytestmark = on_both


def at_once(settings: Settings, works: Sequence[Callable[[Registry], object]]) -> list[object]:
    """Each work with a registry of its own, all beginning together; errors are results."""
    barrier = Barrier(len(works))

    def do(work: Callable[[Registry], object]) -> object:
        with open_registry(settings) as registry:
            barrier.wait()
            try:
                return work(registry)
            except FinopsError as error:
                return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(do, works))


def test_every_change_of_each_operator_is_kept(settings: Settings, registry: Registry) -> None:
    registry.add_team("web")

    def change(number: int, registry: Registry) -> None:
        for turn in range(6):
            day = FIRST + timedelta(days=turn)
            match number:
                case 0:
                    registry.set_team("web", cost_center=f"CC-{turn}", effective=day)
                case 1:
                    registry.set_team("web", owner_email=f"ann{turn}@example.com", effective=day)
                case 2:
                    registry.set_team("web", team_name=f"Web {turn}", effective=day)
                case _:
                    registry.add_team(f"team-{turn}")

    assert at_once(settings, [partial(change, n) for n in range(OPERATORS)]) == [None] * OPERATORS
    history = registry.snapshot().team_attributes.to_pylist()
    days = [row for row in history if row["team_id"] == "web"][1:]
    assert [
        (row["valid_from"], row["cost_center"], row["owner_email"], row["team_name"])
        for row in days
    ] == [
        (FIRST + timedelta(days=turn), f"CC-{turn}", f"ann{turn}@example.com", f"Web {turn}")
        for turn in range(6)
    ]
    found = registry.verify_audit()
    assert (found.entries, found.problems) == (1 + 6 * OPERATORS, ())


def test_of_two_moves_on_one_day_both_are_told_and_one_owner_is_left(
    settings: Settings, registry: Registry
) -> None:
    teams = ["web", *(f"team-{number}" for number in range(OPERATORS))]
    for team in teams:
        registry.add_team(team)
    registry.add_project("search", team_id="web", openai_project_id="proj_1")
    moves = [
        partial(Registry.move_project, project_id="search", team_id=team, effective=FIRST)
        for team in teams[1:]
    ]
    results = at_once(settings, moves)

    assert not [result for result in results if isinstance(result, FinopsError)]
    givers = {result.from_team_id: result.to_team_id for result in results}  # type: ignore[attr-defined]
    line = ["web"]
    while line[-1] in givers:
        line.append(givers[line[-1]])
    assert sorted(line) == sorted(teams), "each took it from the one before"
    [_, owner] = registry.snapshot().project_ownership.to_pylist()
    assert (owner["team_id"], owner["valid_from"], owner["valid_to"]) == (line[-1], FIRST, None)
    assert registry.verify_audit().problems == ()


def test_one_openai_project_is_registered_once(settings: Settings, registry: Registry) -> None:
    registry.add_team("web")
    works = [
        partial(
            Registry.add_project,
            project_id=f"p{number}",
            team_id="web",
            openai_project_id="proj_1",
        )
        for number in range(OPERATORS)
    ]
    errors = [result for result in at_once(settings, works) if isinstance(result, UsageError)]

    assert len(errors) == OPERATORS - 1
    assert all("already registered as project" in error.message for error in errors)
    assert len(registry.list_projects()) == 1
    assert registry.verify_audit().entries == 1 + OPERATORS


def test_rotations_leave_one_active_key(
    settings: Settings, registry: Registry, key: str, other_key: str
) -> None:
    registry.add_team("web")
    registry.register_key("web", key)
    works = [
        partial(Registry.rotate_key, team_id="web", key=f"{other_key}{number}")
        for number in range(OPERATORS)
    ]
    results = at_once(settings, works)

    refused = [result for result in results if isinstance(result, FinopsError)]
    assert all("by somebody else at the same moment" in error.message for error in refused)
    statuses = registry.key_status("web")
    done = OPERATORS - len(refused)
    assert done >= 1
    assert [status.is_active for status in statuses] == [True] + [False] * done
    [team] = registry.collectable_teams(None)
    assert team.key is not None
    assert team.key.reveal().startswith(other_key)
    assert registry.verify_audit().problems == ()


def test_a_reader_sees_whole_changes_alone(settings: Settings, registry: Registry) -> None:
    registry.add_team("web")
    registry.add_team("mobile")
    registry.add_project("search", team_id="web", openai_project_id="proj_1")

    def write(registry: Registry) -> None:
        for turn in range(12):
            registry.move_project(
                "search", team_id=["mobile", "web"][turn % 2], effective=FIRST + timedelta(turn)
            )

    def read(registry: Registry) -> list[str]:
        problems: list[str] = []
        for _ in range(12):
            problems += registry.verify_audit().problems
            rows = registry.snapshot().project_ownership.to_pylist()
            ends = [row["valid_to"] for row in rows]
            problems += [] if ends == [*(r["valid_from"] for r in rows[1:]), None] else [str(rows)]
        return problems

    assert at_once(settings, [write, read, read]) == [None, [], []]


def test_a_registry_that_is_held_is_waited_for_and_then_named(
    settings: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_team("web")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.05)
    holder = database.open_database(settings)
    with holder.writing() as session, open_registry(settings) as other:
        session.execute(text("SELECT 1"))
        with pytest.raises(FinopsError, match="held by another process"):
            other.add_team("mobile")
        assert [team.team_id for team in other.list_teams()] == ["web"]
    holder.close()
