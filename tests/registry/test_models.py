"""What the tables refuse by themselves, whoever writes to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from finops_pipeline.registry import Registry

SQL = Callable[..., list[tuple[Any, ...]]]
TEAM = "INSERT INTO teams VALUES (?, ?, '2026-01-01', '2026-01-01', ?)"
KNOWN = (
    "INSERT INTO team_attributes (team_id, team_name, parent_team_id, valid_from, valid_to) "
    "VALUES (?, 'Web', ?, ?, ?)"
)
KEY_ROW = (
    "INSERT INTO api_keys VALUES (?, 'web', ?, ?, ?, x'00', x'00', x'00', 'abcd', 'f', 'host', "
    "NULL, 'local:0', ?, '2026-01-01', '2026-01-01', ?)"
)
OWNER = "INSERT INTO project_ownership (project_id, team_id, valid_from, valid_to) VALUES "


@pytest.mark.parametrize(
    ("statement", "values", "constraint"),
    [
        (TEAM, ("unallocated", 1, None), "team_id_is_usable"),
        (TEAM, ("mobile", 0, None), "deactivation_has_a_time"),
        (TEAM, ("mobile", 1, "2026-01-02"), "deactivation_has_a_time"),
        (TEAM, ("web", 1, None), "UNIQUE"),
        (KNOWN, ("web", "web", "2026-02-01", "2026-03-01"), "parent_is_another_team"),
        (KNOWN, ("web", "nobody", "2026-02-01", "2026-03-01"), "FOREIGN KEY"),
        (KNOWN, ("web", None, "2026-02-01", "2026-02-01"), "period_is_not_empty"),
        (KNOWN, ("web", None, "2026-02-01", None), "UNIQUE"),
        (KNOWN, ("web", None, None, "2026-02-01"), "UNIQUE"),
        (KEY_ROW, ("k", "root", None, "openai", 1, None), "key_type_is_known"),
        (KEY_ROW, ("k", "project", None, "openai", 1, None), "project_keys_have_a_project"),
        (KEY_ROW, ("k", "admin", "p", "openai", 1, None), "project_keys_have_a_project"),
        (KEY_ROW, ("k", "admin", None, "acme", 1, None), "provider_is_known"),
        (KEY_ROW, ("k", "admin", None, "openai", 0, None), "deactivation_has_a_time"),
        (KEY_ROW, ("k", "admin", None, "openai", 1, None), "UNIQUE constraint failed: api_keys"),
        (OWNER + "('p', 'web', ?, ?)", ("2026-02-01", "2026-02-01"), "period_is_not_empty"),
        (OWNER + "('p', 'web', ?, ?)", ("2026-02-01", None), "UNIQUE constraint failed"),
        (OWNER + "('p', 'nobody', ?, ?)", ("2026-02-01", "2026-03-01"), "FOREIGN KEY"),
    ],
)
def test_the_database_itself_refuses_what_cannot_be(
    registry: Registry,
    sql: SQL,
    key: str,
    statement: str,
    values: tuple[object, ...],
    constraint: str,
) -> None:
    registry.add_team("web")
    registry.add_project("p", team_id="web", openai_project_id="proj_1")
    registry.register_key("web", key)

    with pytest.raises(sqlite3.IntegrityError, match=constraint):
        sql(statement, *values)


def test_an_ended_key_leaves_room_for_another(registry: Registry, sql: SQL, key: str) -> None:
    registry.add_team("web")
    registry.register_key("web", key)
    sql(KEY_ROW, "k", "admin", None, "openai", 0, "2026-01-02")
    assert len(registry.key_status("web")) == 2
