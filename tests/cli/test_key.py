"""`finops key`: the ways in for a key, and that no way leads out."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from finops_pipeline.cli import key, team
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import SimulatedServer
from tests.cli.openai import OTHER, PROXY, SECRET

Command = Any


@pytest.fixture
def command(command: Command, openai: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", openai.base_url)
    command(team.app, "add", "web")
    return command


def stored(team_id: str = "web") -> str | None:
    with open_registry(load_settings()) as registry:
        active = registry.active_admin_key(team_id)
        return None if active is None else active.reveal()


def assert_silent(outcome: Any) -> None:
    said = outcome.stdout + outcome.stderr + str(outcome.error)
    assert [SECRET[i : i + 12] for i in range(len(SECRET) - 11) if SECRET[i : i + 12] in said] == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_key_comes_from_standard_input_without_its_line_end(command: Command, end: str) -> None:
    outcome = command(key.app, "register", "web", stdin=SECRET + end)

    assert outcome.exit_code == 0
    assert outcome.stdout == (
        f"The admin key of team web ending in {SECRET[-4:]} is registered. It opens the "
        "organization org-own, with the scopes api.usage.read, api.management.read.\n"
    )
    assert outcome.stderr == ""
    assert_silent(outcome)
    assert stored() == SECRET


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (SECRET + "\n\n", "has more than one line"),
        (SECRET + "\r", "has more than one line"),
        (f"{SECRET}\n{SECRET}\n", "has more than one line"),
        (SECRET + " \n", "has white space before or after it"),
        (SECRET.replace("Q", " Q"), "has white space inside"),
        (SECRET + "é", "has characters outside ASCII"),
        (SECRET.encode() + b"\xff\xfe", "has characters outside ASCII"),
        (SECRET * 200, "is longer than 4096 characters"),
    ],
)
def test_anything_else_on_standard_input_is_refused(
    command: Command, given: str | bytes, problem: str
) -> None:
    outcome = command(key.app, "register", "web", stdin=given)

    assert outcome.exit_code == 2
    assert f"The key {problem}; nothing was stored." in str(outcome.error)
    assert_silent(outcome)
    assert stored() is None


def test_a_key_comes_from_a_variable(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_ADMIN_KEY", SECRET)
    outcome = command(key.app, "register", "web", "--from-env", "WEB_ADMIN_KEY", stdin=OTHER)

    assert outcome.exit_code == 0
    assert_silent(outcome)
    assert stored() == SECRET


@pytest.mark.parametrize("name", ["NO_SUCH_VARIABLE", "abcdefghijklmnopqrstuvwxyz0123456789", ""])
def test_a_variable_that_is_not_set_is_not_repeated(command: Command, name: str) -> None:
    outcome = command(key.app, "register", "web", "--from-env", name, stdin=SECRET)

    assert outcome.exit_code == 2
    assert "named by --from-env is not set" in str(outcome.error)
    assert name == "" or name not in str(outcome.error)
    assert stored() is None


def test_on_a_terminal_a_hidden_prompt_asks(command: Command, data: Path) -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from finops_pipeline.cli.key import app; app()", "register", "web"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        cwd=data,
    )
    os.close(inside)
    said = b""
    while b"Admin key (not shown): " not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, SECRET.encode() + b"\n")
    while b"is registered" not in said:
        said += os.read(terminal, 1024)
    assert process.wait() == 0
    os.close(terminal)

    assert SECRET[:12].encode() not in said
    assert stored() == SECRET


@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "web", SECRET),
        ("register", SECRET),
        ("register", SECRET, "web"),
        ("register", "web", "--key", SECRET),
        ("register", "web", f"--key={SECRET}"),
        ("register", "web", f"-k{SECRET}"),
        ("register", "web", "--from-env", SECRET),
        ("register", "web", "--type", SECRET),
        ("register", "web", "--", SECRET),
        ("register", "web", "--type", "project", "--project", SECRET),
        ("register", "web", "--on-behalf-of", SECRET),
        ("rotate", "web", SECRET),
        ("rewrap", SECRET),
        ("rewrap", "--team", SECRET),
        ("deactivate", "web", SECRET),
        ("status", SECRET),
        (SECRET,),
        (SECRET, "web"),
    ],
)
@pytest.mark.parametrize("inside_another_app", [False, True])
def test_a_key_among_the_arguments_is_refused_with_the_reason(
    command: Command, arguments: tuple[str, ...], *, inside_another_app: bool
) -> None:
    app = key.app
    if inside_another_app:
        app = typer.Typer()
        app.add_typer(key.app, name="key")
        app.command("other")(lambda: None)
        arguments = ("key", *arguments)
    outcome = command(app, *arguments, stdin=OTHER)

    assert outcome.exit_code == 2
    assert isinstance(outcome.error, UsageError)
    assert "the shell's history and the list of processes would keep it" in str(outcome.error)
    assert "replace it at OpenAI" in outcome.error.fix
    assert_silent(outcome)
    assert stored() is None


@pytest.mark.parametrize("name", ["register", "rotate", "deactivate", "status"])
def test_a_surplus_argument_is_not_repeated_whatever_it_looks_like(
    command: Command, name: str
) -> None:
    outcome = command(key.app, name, "web", "hunter2-hunter2", stdin=OTHER)

    assert outcome.exit_code == 2
    assert "A key is never an argument" in str(outcome.error)
    assert "hunter2" not in outcome.stdout + outcome.stderr + str(outcome.error)
    assert stored() is None


def test_an_unusual_key_is_stored_with_a_warning(command: Command) -> None:
    outcome = command(key.app, "register", "web", "--json", stdin=PROXY + "\n")

    assert outcome.exit_code == 0
    assert outcome.stderr.startswith("Warning: the key does not look like OpenAI's admin keys")
    assert "unusual-key" not in outcome.stderr + outcome.stdout
    assert json.loads(outcome.stdout)["last4"] == "roxy"


def test_status_shows_exactly_what_is_promised(command: Command) -> None:
    assert command(key.app, "status", "web", "--json").stdout == "[]\n"
    registered = json.loads(command(key.app, "register", "web", "--json", stdin=SECRET).stdout)
    [shown] = json.loads(command(key.app, "status", "web", "--json").stdout)

    assert shown | {"scopes": ["api.usage.read", "api.management.read"]} == registered
    assert shown["organization_id"] == "org-own"
    assert list(shown) == [
        "team_id",
        "key_type",
        "last4",
        "is_active",
        "organization_id",
        "created_at",
        "updated_at",
    ]
    assert (shown["key_type"], shown["last4"], shown["is_active"]) == ("admin", SECRET[-4:], True)
    table = command(key.app, "status", "web").stdout
    assert "Keys of team web" in table
    assert SECRET[-4:] in table


def test_a_second_key_is_rotated_in_and_the_key_deactivated(command: Command) -> None:
    command(key.app, "register", "web", "--type", "admin", stdin=SECRET)
    refused = command(key.app, "register", "web", stdin=OTHER)
    assert refused.exit_code == 2
    assert "finops key rotate web" in str(refused.error)

    assert "in the place of the former one" in command(key.app, "rotate", "web", stdin=OTHER).stdout
    assert stored() == OTHER
    assert "is deactivated here" in command(key.app, "deactivate", "web").stdout
    assert stored() is None
    keys = json.loads(command(key.app, "status", "web", "--json").stdout)
    assert [shown["is_active"] for shown in keys] == [False, False]


@pytest.mark.parametrize(
    "options",
    [("--type", "project"), ("--project", "shop"), ("--type", "service", "--project", "x")],
)
@pytest.mark.parametrize("name", ["register", "rotate", "deactivate"])
def test_half_a_name_of_a_key_is_refused(
    command: Command, name: str, options: tuple[str, ...]
) -> None:
    outcome = command(key.app, name, "web", *options, stdin=SECRET)
    assert outcome.exit_code == 2
    assert stored() is None


def test_an_unknown_team_is_wrong_usage(command: Command) -> None:
    outcome = command(key.app, "register", "wep", stdin=SECRET)
    assert outcome.exit_code == 2
    assert "Did you mean 'web'" in str(outcome.error)


def test_a_lost_key_file_exits_with_1(command: Command, data: Path) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    (data.parent / "config" / "key").unlink()
    outcome = command(key.app, "rotate", "web", stdin=OTHER)

    assert outcome.exit_code == 1
    assert isinstance(outcome.error, FinopsError)
    assert str(data.parent / "config" / "key") in str(outcome.error)


def test_nothing_on_disk_holds_the_key(command: Command, data: Path) -> None:
    command(key.app, "register", "web", stdin=SECRET)
    command(key.app, "rotate", "web", stdin=OTHER)

    for path in data.parent.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (SECRET.encode(), OTHER.encode()):
            assert not any(secret[i : i + 12] in content for i in range(len(secret) - 11))
