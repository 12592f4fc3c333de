"""Moves: each day has one owner, the past keeps its own, and nothing moves before it exists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import Registry
from finops_pipeline.registry.moves import Move
from tests.registry.postgresql import on_both

SQL = Callable[..., list[tuple[Any, ...]]]
FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(12)]
TEAMS = ("web", "mobile", "data")


@pytest.fixture
def registry(registry: Registry) -> Registry:
    for team in TEAMS:
        registry.add_team(team)
    return registry


def add(registry: Registry, project_id: str = "search", valid_from: date | None = None) -> None:
    registry.add_project(
        project_id,
        team_id="web",
        openai_project_id=f"proj_{project_id}",
        valid_from=valid_from,
    )


def periods(registry: Registry, project_id: str = "search") -> list[tuple[object, ...]]:
    return [
        (row["team_id"], row["valid_from"], row["valid_to"])
        for row in registry.snapshot().project_ownership.to_pylist()
        if row["project_id"] == project_id
    ]


@on_both
def test_the_past_keeps_its_owner(registry: Registry) -> None:
    add(registry)
    move = registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))

    assert move == Move("search", "proj_search", "web", "mobile", date(2026, 3, 1), None)
    assert periods(registry) == [
        ("web", None, date(2026, 3, 1)),
        ("mobile", date(2026, 3, 1), None),
    ]
    [project] = registry.list_projects()
    assert (project.team_id, project.valid_from) == ("mobile", date(2026, 3, 1))


@on_both
def test_a_move_into_the_past_ends_where_the_next_one_begins(registry: Registry) -> None:
    add(registry)
    registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))
    move = registry.move_project("search", team_id="data", effective=date(2026, 2, 1))

    assert move.until == date(2026, 3, 1)
    assert periods(registry) == [
        ("web", None, date(2026, 2, 1)),
        ("data", date(2026, 2, 1), date(2026, 3, 1)),
        ("mobile", date(2026, 3, 1), None),
    ]


def test_a_move_that_is_still_to_come_changes_nothing_today(registry: Registry) -> None:
    add(registry)
    registry.move_project("search", team_id="mobile", effective=date(9000, 1, 1))
    assert registry.list_projects()[0].team_id == "web"


def test_a_move_back_makes_one_period_of_two(registry: Registry) -> None:
    add(registry)
    registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))
    registry.move_project("search", team_id="web", effective=date(2026, 3, 1))
    assert periods(registry) == [("web", None, None)]


def test_on_its_first_day_a_project_may_get_another_owner(registry: Registry) -> None:
    add(registry, valid_from=date(2026, 3, 1))
    registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1))
    assert periods(registry) == [("mobile", date(2026, 3, 1), None)]


@pytest.mark.parametrize(
    ("project", "team", "day", "message"),
    [
        ("serch", "mobile", "2026-04-01", r"'serch' is not registered\. Did you mean 'search'"),
        ("search", "mobil", "2026-04-01", r"'mobil' is not registered\. Did you mean 'mobile'"),
        ("search", "data", "2026-04-01", "'data' was deactivated"),
        ("search", "web", "2026-04-01", "'web' owns project 'search' on 2026-04-01 already"),
        ("search", "mobile", "2026-02-28", "on 2026-02-28: it is owned by nobody before 2026-03-0"),
    ],
)
def test_what_cannot_move_says_why_and_stays(
    registry: Registry, project: str, team: str, day: str, message: str
) -> None:
    add(registry, valid_from=date(2026, 3, 1))
    registry.deactivate_team("data")
    before = periods(registry)
    effective = date.fromisoformat(day)

    with pytest.raises(UsageError, match=message) as error:
        registry.move_project(project, team_id=team, effective=effective)
    assert error.value.fix
    with pytest.raises(UsageError, match=message):
        registry.plan_move(project, team_id=team, effective=effective)
    assert periods(registry) == before
    newest = registry.audit_entries()[-1]
    assert (newest.action, newest.outcome) == ("project.move", "refused")


def test_a_plan_is_the_move_and_changes_nothing(registry: Registry) -> None:
    add(registry)
    before = registry.audit_entries()
    plan = registry.plan_move("search", team_id="mobile", effective=date(2026, 3, 1))

    assert periods(registry) == [("web", None, None)]
    assert registry.audit_entries() == before
    assert registry.move_project("search", team_id="mobile", effective=date(2026, 3, 1)) == plan


@bounded(
    derandomize=True,
    max_examples=25,
    deadline=None,
    # Each example registers a project of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    valid_from=st.none() | st.sampled_from(DAYS[:4]),
    moves=st.lists(st.tuples(st.sampled_from(TEAMS), st.sampled_from(DAYS)), max_size=5),
)
def test_after_any_moves_each_day_has_the_owner_that_it_was_last_given(
    registry: Registry, valid_from: date | None, moves: list[tuple[str, date]]
) -> None:
    name = f"p{len(registry.list_projects())}"
    add(registry, name, valid_from)
    expected = {day: "web" for day in DAYS if valid_from is None or day >= valid_from}
    for team, day in moves:
        if expected.get(day) in {None, team}:
            with pytest.raises(UsageError):
                registry.move_project(name, team_id=team, effective=day)
            continue
        end = registry.move_project(name, team_id=team, effective=day).until
        expected |= {one: team for one in expected if day <= one and (end is None or one < end)}

    stored = periods(registry, name)
    found = {}
    for day in DAYS:
        holding = [
            team
            for team, start, end in stored
            if (start is None or start <= day) and (end is None or day < end)  # type: ignore[operator]
        ]
        assert len(holding) <= 1
        if holding:
            found[day] = holding[0]
    assert found == expected
    assert stored[-1][2] is None
