"""`finops privacy`: who is behind a pseudonym, and how that is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finops_pipeline.cli import audit, key, privacy
from finops_pipeline.ingestion.pseudonyms import pseudonym, remember
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.warehouse import Warehouse
from tests.cli.conftest import Command

ADA, BOB = "user-ada-0123456789", "user-bob-0123456789"


@pytest.fixture
def names(data: Path) -> dict[str, str]:
    """The pseudonym of each user whose usage has landed."""
    settings = load_settings()
    with open_registry(settings) as registry:
        secret = registry.pseudonym_key()
    found = {user: pseudonym(secret, user) for user in (ADA, BOB)}
    warehouse = Warehouse.from_settings(settings)
    with warehouse.writing("a test"), warehouse.connect() as connection:
        remember(connection, {name: user for user, name in found.items()}, frozenset())
    assert ADA.encode() in (data / "warehouse.duckdb").read_bytes()
    return found


@pytest.mark.parametrize("by", ["user id", "pseudonym"])
def test_a_user_is_shown_on_record(command: Command, names: dict[str, str], by: str) -> None:
    given = ADA if by == "user id" else names[ADA]
    shown = command(privacy.app, "show", given, "--on-behalf-of", "Eve", "--json")
    assert json.loads(shown.stdout) == {"user_pseudonym": names[ADA], "user_id": ADA}
    log = command(audit.app, "--json").stdout
    (entry,) = (each for each in json.loads(log) if each["action"] == "user.show")
    assert entry["on_behalf_of"] == "Eve"
    assert ADA not in log


@pytest.mark.parametrize("by", ["user id", "pseudonym"])
def test_an_erased_user_is_in_no_file(
    command: Command, data: Path, names: dict[str, str], by: str
) -> None:
    given = ADA if by == "user id" else names[ADA]
    erased = command(privacy.app, "erase", given, "--json")
    assert json.loads(erased.stdout) == {
        "user_pseudonym": names[ADA],
        "was_known": True,
        "was_erased_before": False,
    }
    for path in data.rglob("*"):
        assert path.is_dir() or ADA.encode() not in path.read_bytes()
    gone = command(privacy.app, "show", given)
    assert gone.exit_code == 1
    assert "that user was erased" in str(gone.error)
    assert command(privacy.app, "show", BOB).stdout == f"{names[BOB]} is {BOB}.\n"
    again = command(privacy.app, "erase", given)
    assert again.stdout == f"Nobody was known behind {names[ADA]}, and nobody will be.\n"
    assert ADA not in command(audit.app, "--json").stdout


def test_nobody_is_behind_a_name_that_was_never_seen(
    command: Command, names: dict[str, str]
) -> None:
    unknown = command(privacy.app, "show", "user-nobody")
    assert unknown.exit_code == 1
    assert "it is in no collected usage" in str(unknown.error)


def test_rewrapping_and_renewing_the_key(command: Command, names: dict[str, str]) -> None:
    (row,) = json.loads(command(key.app, "rewrap", "--json").stdout)
    assert (row["key_type"], row["result"]) == ("pseudonym", "unchanged")
    assert row["wrapped_by"].startswith("local:")
    assert "key of user pseudonyms" in command(key.app, "rewrap").stdout
    assert json.loads(command(privacy.app, "renew-key", "--json").stdout) == {"renewed": True}
    assert command(privacy.app, "show", ADA).exit_code == 1
    assert command(privacy.app, "show", names[ADA]).stdout == f"{names[ADA]} is {ADA}.\n"
