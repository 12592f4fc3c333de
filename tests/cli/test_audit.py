"""`finops audit`: the trail as a table and as JSON, and whether it is whole."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli import audit, team
from tests.cli.conftest import Ended

Command = Any


@pytest.fixture
def command(command: Command) -> Command:
    command(team.app, "add", "web", "--cost-center", "CC-1", "--on-behalf-of", "Ann [Example]")
    command(team.app, "set", "web", "--cost-center", "CC-2", "--effective", "2026-03-01")
    command(team.app, "add", "mobile")
    command(team.app, "add", "web")
    return command


def test_the_listing_says_what_changed_newest_last(command: Command) -> None:
    table = command(audit.app).stdout

    assert table.index("team.add") < table.index("team.set") < table.index("refused")
    assert "cost_center: CC-1 → CC-2, effective: 2026-03-01" in table
    assert "Ann [Example]" in table
    assert "Team 'web' is already registered" in table


def test_on_a_narrow_terminal_lines_break_between_words(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    audit.app(args=[], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()

    assert max(map(len, lines)) <= 60
    assert lines[0] == "Audit log"
    assert "    cost_center: CC-1 → CC-2, effective: 2026-03-01" in lines
    assert re.fullmatch(r"1  .*\+00:00  .* for Ann \[Example\]", lines[1])
    assert lines[2] == "    team.add done  team web"


def test_json_has_before_and_after_as_objects(command: Command) -> None:
    entries = json.loads(command(audit.app, "--json").stdout)

    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4]
    assert entries[1]["before"] == {"cost_center": "CC-1"}
    assert entries[1]["after"] == {"cost_center": "CC-2", "effective": "2026-03-01"}
    assert entries[0]["on_behalf_of"] == "Ann [Example]"
    assert entries[3]["outcome"] == "refused"


def test_a_team_and_a_number_of_entries_may_be_chosen(command: Command) -> None:
    def shown(*arguments: str) -> list[int]:
        entries = json.loads(command(audit.app, "--json", *arguments).stdout)
        return [entry["sequence"] for entry in entries]

    assert shown("--team", "web") == [1, 2, 4]
    assert shown("--limit", "2") == [3, 4]
    assert shown("--team", "web", "--limit", "1") == [4]


def test_no_registry_is_an_empty_trail(finops: Callable[..., Ended]) -> None:
    assert finops("audit", "--json").stdout == "[]\n"


def test_a_whole_trail_is_said_with_its_newest_hash(command: Command) -> None:
    found = json.loads(command(audit.app, "verify", "--json").stdout)

    assert (found["ok"], found["entries"], found["problems"]) == (True, 4, [])
    assert command(audit.app, "verify").stdout == (
        f"The audit log is whole: 4 entries, the newest {found['newest_hash']}.\n"
    )
    assert command(audit.app, "verify", "--expect", found["newest_hash"]).exit_code == 0


def test_an_edited_trail_exits_with_1_and_names_the_entry(command: Command, data: Path) -> None:
    with closing(sqlite3.connect(data / "registry.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_no_update")
        connection.execute("UPDATE audit_log SET actor = 'somebody' WHERE sequence = 2")

    outcome = command(audit.app, "verify")
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("The audit log is not whole: 4 entries")
    assert "entry 2 was edited" in str(outcome.error)
    outcome = command(audit.app, "verify", "--json")
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["problems"] == ["entry 2 was edited"]


def test_a_noted_hash_that_is_gone_exits_with_1(command: Command) -> None:
    outcome = command(audit.app, "verify", "--expect", "a" * 64)
    assert outcome.exit_code == 1
    assert "no entry has the noted hash" in str(outcome.error)
