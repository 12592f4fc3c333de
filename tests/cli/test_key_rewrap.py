"""`finops key rewrap`: all keys to the configured wrapping key, as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.cli import key
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from tests.registry.kms import Kms, moto_kms, set_up_boto

Command = Any
SECRETS = {
    "mobile": "sk-admin-bW9iaWxlMTIzNDU2Nzg5MDEy",
    "web": "sk-admin-d2ViMTIzNDU2Nzg5MDEyMzQ1",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Kms]:
    with moto_kms() as server:
        yield server


@pytest.fixture
def command(command: Command, server: Kms, monkeypatch: pytest.MonkeyPatch) -> Command:
    with open_registry(load_settings()) as registry:
        for team_id, secret in SECRETS.items():
            registry.add_team(team_id)
            registry.register_key(team_id, secret)
    set_up_boto(monkeypatch, server.endpoint)
    monkeypatch.setenv("FINOPS_KMS_KEY_ID", server.new_key())
    return command


def results(command: Command, *options: str, exit_code: int = 0) -> dict[str, str]:
    outcome = command(key.app, "rewrap", "--json", *options)
    assert outcome.exit_code == exit_code
    rows = json.loads(outcome.stdout)
    assert all(row["last4"] == SECRETS[row["team_id"]][-4:] for row in rows)
    return {row["team_id"]: row["result"] for row in rows}


def test_all_keys_or_one_teams_move_once(command: Command, data: Path) -> None:
    assert results(command, "--team", "web") == {"web": "rewrapped"}
    assert results(command) == {"mobile": "rewrapped", "web": "unchanged"}
    assert results(command) == {"mobile": "unchanged", "web": "unchanged"}
    (data.parent / "config" / "key").unlink()
    with open_registry(load_settings()) as registry:
        for team in registry.collectable_teams(None):
            assert team.key is not None
            assert team.key.reveal() == SECRETS[team.team_id]


def test_a_key_that_does_not_open_holds_up_no_other(command: Command) -> None:
    import sqlite3

    with sqlite3.connect(load_settings().registry_path) as connection:
        connection.execute("UPDATE api_keys SET iv = x'00' WHERE team_id = 'mobile'")
    connection.close()
    assert results(command, exit_code=3) == {"mobile": "failed", "web": "rewrapped"}
    table = command(key.app, "rewrap", "--team", "mobile")
    assert table.exit_code == 1
    assert "finops key rotate mobile" in table.stdout


def test_without_its_wrapping_key_nothing_is_changed(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "not an address")
    outcome = command(key.app, "rewrap")
    assert outcome.exit_code == 1
    assert "Asking AWS KMS for kms:GenerateDataKey failed" in str(outcome.error)
    monkeypatch.delenv("FINOPS_KMS_KEY_ID")
    assert results(command) == {"mobile": "unchanged", "web": "unchanged"}
    assert (data.parent / "config" / "key").exists()


def test_an_unknown_team_is_told(command: Command) -> None:
    outcome = command(key.app, "rewrap", "--team", "wep")
    assert outcome.exit_code == 2
    assert "Did you mean 'web'" in str(outcome.error)
