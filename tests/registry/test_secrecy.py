"""A key's text is nowhere but in memory: no file, no log, no message, no traceback."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, rules

PIECE = 12


def pieces(key: str) -> Iterator[str]:
    for start in range(len(key) - PIECE + 1):
        yield key[start : start + PIECE]


def leaked(key: str, text: str) -> list[str]:
    return [piece for piece in pieces(key) if piece in text]


BAD_KEYS = [
    ("{}\n{}", "has more than one line"),
    ("{}\n\n", "has more than one line"),
    ("{}\r\n", "has more than one line"),
    (" {}", "has white space before or after it"),
    ("{}\t", "has white space before or after it"),
    ("{} {}", "has white space inside"),
    ("{}é", "has characters outside ASCII"),
    ("{}\u200b", "has characters outside ASCII"),
    ("{}\x00", "has control characters"),
    ("{}" * 200, "is longer than 4096 characters"),
]


@pytest.mark.parametrize(("template", "problem"), BAD_KEYS)
def test_a_text_that_cannot_be_a_key_is_refused_without_repeating_it(
    registry: Registry, key: str, template: str, problem: str
) -> None:
    registry.add_team("web")
    with pytest.raises(UsageError, match=problem) as error:
        registry.register_key("web", template.replace("{}", key))

    assert leaked(key, str(error.value)) == []
    assert registry.key_status("web") == []


@pytest.mark.parametrize("empty", ["", " ", "\n", "\t \n"])
def test_an_empty_key_is_refused(registry: Registry, empty: str) -> None:
    registry.add_team("web")
    with pytest.raises(UsageError, match="The key is empty"):
        registry.register_key("web", empty)


def test_a_key_given_as_a_name_is_not_repeated(registry: Registry, key: str) -> None:
    registry.add_team("web")
    attempts: list[Callable[[], object]] = [
        lambda: registry.add_team(key),
        lambda: registry.add_team("other", parent_team_id=key),
        lambda: registry.add_team("other", team_name=key),
        lambda: registry.add_team("other", owner_email=key),
        lambda: registry.add_team("other", cost_center=key),
        lambda: registry.register_key(key, key),
        lambda: registry.key_status(key),
        lambda: registry.collectable_teams([key]),
        lambda: registry.add_project(key, team_id="web", openai_project_id="proj_1"),
        lambda: registry.add_project("p", team_id=key, openai_project_id="proj_1"),
        lambda: registry.add_project("p", team_id="web", openai_project_id=key),
        lambda: registry.add_project(
            "p", team_id="web", openai_project_id="proj_1", tags={"key": key}
        ),
        lambda: registry.add_project(
            "p", team_id="web", openai_project_id="proj_1", tags={key: "x"}
        ),
        lambda: registry.set_project(key, project_name="x"),
    ]
    for attempt in attempts:
        with pytest.raises(UsageError) as error:
            attempt()
        assert leaked(key, str(error.value)) == []


@pytest.mark.parametrize(
    "text",
    [
        "sk-admin-abc",
        "sk-proj-abc",
        "sk-svcacct-abc",
        "sk-abcdefghijklmnopqrstuvwx",
        "--key=sk-admin-abc",
        "T3RoZXJLZXlGb3JUZXN0c09ubHlYWVow",
    ],
)
def test_keys_are_recognised_by_their_looks(text: str) -> None:
    assert rules.looks_like_key(text)


@pytest.mark.parametrize(
    "text", ["web", "sk-telecom-europe", "OPENAI_KEY_OF_TEAM_42_IN_PRODUCTION", "a" * 63, "proj_1"]
)
def test_names_are_not_taken_for_keys(text: str) -> None:
    assert not rules.looks_like_key(text)


def test_a_key_is_in_no_file_no_log_and_no_traceback(
    registry: Registry,
    key: str,
    other_key: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "alembic"):
        caplog.set_level(logging.DEBUG, logger=name)
    registry.add_team("web")
    registry.register_key("web", key)
    registry.rotate_key("web", other_key)
    registry.snapshot()
    team_key = registry.active_admin_key("web")
    assert team_key is not None
    assert team_key.reveal() == other_key

    seen = ["".join(record.getMessage() for record in caplog.records)]
    assert "INSERT INTO api_keys" in seen[0]
    assert "SQL parameters hidden" in seen[0]
    for broken in (b"short", b"\0" * 32):
        (tmp_path / "config" / "key").write_bytes(broken)
        for attempt in (team_key.reveal, lambda: registry.register_key("web", key)):
            with pytest.raises(FinopsError) as error:
                attempt()
            seen.append("".join(traceback.format_exception(error.value)))
    seen.extend(capfd.readouterr())
    seen.extend(
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()
    )

    for secret in (key, other_key):
        for text in seen:
            assert leaked(secret, text) == []
