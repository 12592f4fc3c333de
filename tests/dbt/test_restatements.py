"""What changed after the fact, when it was known, and how long that takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finops_pipeline import marts as published
from finops_pipeline.cli import costs
from finops_pipeline.errors import UsageError
from tests.dbt.conftest import Marts, Warehouse, at, cost

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


@pytest.fixture(scope="module")
def marts(new_warehouse: Callable[[], Warehouse]) -> Marts:
    """One organization; two teams' keys open it. A project was moved after everything was read."""
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 3, 20))
    for team in ("one", "two"):
        warehouse.team(team, f"key-{team}", organization_id="org")
    warehouse.project("moved", ("one", None, DAY), ("two", DAY, None))

    def read(day: date, when: datetime, *rows: dict[str, Any], team: str = "one") -> None:
        warehouse.read(team, day, rows, when, key=f"key-{team}")

    read(DAY, at(NEXT, 6), cost("10", "moved"), cost("1", line_item="a"))
    # Another line, another quantity, the same money: another content, and no restatement.
    read(DAY, at(NEXT, 7), cost("10", "moved"), cost("1", line_item="b"), team="two")
    read(DAY, at(date(2026, 3, 4), 6), cost("12", "moved"), cost("3", "late"), team="two")
    read(DAY, at(date(2026, 3, 6), 6), team="one")
    read(DAY, at(date(2026, 3, 7), 6), cost("12", "moved"), cost("3", "late"))
    read(DAY, at(date(2026, 3, 10), 6), cost("12", "moved"), cost("3", "late"))
    # Never empty, never restated, read until it was nine days old.
    read(NEXT, at(date(2026, 3, 3), 6), cost("85", "moved"))
    read(NEXT, at(date(2026, 3, 12), 6), cost("85", "moved"))
    # First read when it was old: of its first days nothing is known.
    read(date(2026, 2, 1), at(date(2026, 3, 10), 6), cost("7", "moved"))
    # Not settled yet.
    read(date(2026, 3, 18), at(date(2026, 3, 19), 6), cost("50", "moved"))
    return warehouse.build()


def restatements(marts: Marts, project: str) -> list[tuple[Any, ...]]:
    columns = "revision, day(collected_at), cost, previous_cost, change, team_id"
    where = f"cost_date = '{DAY}' and openai_project_id is not distinct from {project}"
    return marts.rows("fct_restatements", columns, where)


def test_every_change_of_an_amount_is_a_revision(marts: Marts) -> None:
    assert restatements(marts, "'proj_moved'") == [
        (1, 2, Decimal(10), None, Decimal(10), "two"),
        (2, 4, Decimal(12), Decimal(10), Decimal(2), "two"),
        (3, 6, Decimal(0), Decimal(12), Decimal(-12), "two"),
        (4, 7, Decimal(12), Decimal(0), Decimal(12), "two"),
    ]


def test_a_project_that_came_later_was_nothing_before(marts: Marts) -> None:
    assert restatements(marts, "'proj_late'") == [
        (1, 2, Decimal(0), None, Decimal(0), "unallocated"),
        (2, 4, Decimal(3), Decimal(0), Decimal(3), "unallocated"),
        (3, 6, Decimal(0), Decimal(3), Decimal(-3), "unallocated"),
        (4, 7, Decimal(3), Decimal(0), Decimal(3), "unallocated"),
    ]


def test_what_moved_between_lines_is_no_restatement(marts: Marts) -> None:
    assert restatements(marts, "null") == [
        (1, 2, Decimal(1), None, Decimal(1), "unallocated"),
        (2, 4, Decimal(0), Decimal(1), Decimal(-1), "unallocated"),
    ]


def test_every_content_has_its_time(marts: Marts) -> None:
    rows = marts.rows(
        "rpt_revisions",
        "revision, day(known_from), day(known_until), day(settled_from), row_count, cost",
        f"cost_date = '{DAY}'",
    )
    assert rows == [
        (1, 2, 2, None, 2, Decimal(11)),
        (2, 2, 4, None, 2, Decimal(11)),
        (3, 4, 6, None, 2, Decimal(15)),
        (4, 6, 7, None, 0, Decimal(0)),
        (5, 7, None, 10, 2, Decimal(15)),
    ]


def test_the_share_known_at_an_age_is_that_of_the_days_watched_then(marts: Marts) -> None:
    rows = marts.rows("rpt_restatement_lag", "age_days, known_share, bucket_count, observed_days")
    assert rows == [
        (0, (11 + 85) / 100, 2, 8),
        (1, (11 + 85) / 100, 2, 8),
        (2, 1.0, 2, 8),
        (3, 1.0, 2, 8),
        (4, 85 / 100, 2, 8),
        (5, 1.0, 2, 8),
        (6, 1.0, 2, 8),
        (7, 1.0, 2, 8),
        (8, 1.0, 2, 8),
        (9, 1.0, 1, 9),
        (36, 1.0, 1, 36),
    ]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-02T05:59:59Z", []),
        ("2026-03-02T06:00:00Z", [("moved", None, 10), ("unallocated", "a", 1)]),
        ("2026-03-02T09:00:00+02:00", [("moved", None, 10), ("unallocated", "b", 1)]),
        ("2026-03-05T00:00:00Z", [("moved", None, 12), ("unallocated", None, 3)]),
        ("2026-03-06T12:00:00Z", []),
        ("2027-01-01T00:00:00Z", [("moved", None, 12), ("unallocated", None, 3)]),
    ],
)
def test_line_items_as_they_were_known(
    marts: Marts, moment: str, expected: list[tuple[str, str | None, int]]
) -> None:
    rows = marts.query(
        "select project_id, case when len(line_item) = 1 then line_item end, cost::integer"
        f" from costs_as_of('{moment}') where cost_date = '{DAY}' order by all"
    )
    assert rows == expected


def test_settled_is_as_it_was_known(marts: Marts) -> None:
    def settled(moment: str) -> list[tuple[Any, ...]]:
        return marts.query(
            f"select distinct is_settled from costs_as_of('{moment}') where cost_date = '{DAY}'"
        )

    assert settled("2026-03-10T05:00:00Z") == [(False,)]
    assert settled("2026-03-10T06:00:00Z") == [(True,)]


@pytest.fixture
def daily(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """`finops costs daily` on what was built; what it printed, and said beside it."""
    connect = published.connect

    def on_these(path: Path, *, memory_limit: str | None = None) -> Any:
        return connect(marts.path, memory_limit=memory_limit)

    monkeypatch.setattr(published, "connect", on_these)

    def run(*arguments: str) -> tuple[str, str]:
        result = CliRunner().invoke(costs.app, ["daily", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout, result.stderr

    return run


def test_the_command_shows_days_as_they_were_known(daily: Callable[..., tuple[str, str]]) -> None:
    printed, said = daily("--as-of", "2026-03-02T08:00+01:00", "--json")
    assert json.loads(printed) == [
        {
            "cost_date": "2026-03-01",
            "team_id": team,
            "currency": "USD",
            "cost": f"{amount}.000000000000000000",
            "is_settled": False,
            "as_of": "2026-03-02T07:00:00+00:00",
        }
        for team, amount in [("two", 10), ("unallocated", 1)]
    ]
    assert "Amounts as known at 2026-03-02 07:00:00 UTC, attributed to teams and projects" in said
    assert "2026-02-16 (one), 2026-02-17 (one), 2026-02-18 (one), 10 more days had not been" in said

    printed, _ = daily("--as-of", "2026-03-05T00:00Z", "--by", "project", "--from", "2026-03-01")
    assert "Costs from 2026-03-01 to 2026-03-04 (UTC), as known at 2026-03-05 00:00:00" in printed
    assert "100.00" in printed


def test_before_the_first_reading_nothing_was_known(
    daily: Callable[..., tuple[str, str]],
) -> None:
    printed, said = daily("--as-of", "2026-03-02T05:59Z", "--from", "2026-02-01")
    assert printed.startswith(
        "No costs from 2026-02-01 to 2026-03-01, as known at 2026-03-02 05:59:00 UTC.\n"
    )
    assert "No reading had been made by then; the first was made at 2026-03-02 06:00" in said


def test_a_moment_after_the_build_is_said_to_be_one(
    daily: Callable[..., tuple[str, str]],
) -> None:
    _, said = daily("--as-of", "2027-01-01T00:00Z")
    assert "The marts were built at 2026-03-20" in said
    assert "The marts were built" not in daily("--as-of", "2026-03-05T00:00Z")[1]


@pytest.mark.parametrize(
    ("moment", "wrong"),
    [
        ("2026-03-05T09:00", "names no time zone"),
        ("2026-03-05", "names no time zone"),
        ("yesterday", "is not a time"),
    ],
)
def test_a_moment_needs_a_zone(
    daily: Callable[..., tuple[str, str]], moment: str, wrong: str
) -> None:
    with pytest.raises(UsageError, match=wrong) as caught:
        daily("--as-of", moment)
    assert "2026-03-05T09:00Z" in caught.value.fix


def test_a_day_too_late_for_the_moment_is_told(daily: Callable[..., tuple[str, str]]) -> None:
    with pytest.raises(UsageError, match="the day before --as-of, 2026-03-04"):
        daily("--as-of", "2026-03-05T09:00Z", "--from", "2026-03-10")
