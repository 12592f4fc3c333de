"""Each setting with its value and source; no secret is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from finops_pipeline.cli.settings import masked_url, settings
from finops_pipeline.errors import UsageError
from finops_pipeline.settings import Settings, variable_of
from tests.cli.conftest import Command

app = typer.Typer()
app.command()(settings)


@pytest.fixture
def environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)
    monkeypatch.setenv("FINOPS_DATA_DIR", str(data))
    return monkeypatch


def listed(command: Command) -> dict[str, dict[str, str]]:
    rows = json.loads(command(app, "--json").stdout)
    return {row["variable"]: row for row in rows}


def test_every_setting_is_listed_with_its_meaning(
    command: Command, environment: pytest.MonkeyPatch
) -> None:
    rows = listed(command)
    assert list(rows) == [variable_of(field) for field in Settings.model_fields]
    assert all(row["meaning"] for row in rows.values())
    assert rows["FINOPS_SETTLE_DAYS"]["value"] == "3"
    assert rows["FINOPS_COST_SOURCE"]["value"] == "costs_v1"
    assert rows["FINOPS_REGISTRY_URL"]["value"] is None


def test_the_environment_goes_before_the_file_and_both_before_the_default(
    command: Command, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("FINOPS_SETTLE_DAYS=4\nfinops_tolerance=0.1\nOTHER=1\n")
    environment.setenv("FINOPS_SETTLE_DAYS", "5")
    rows = listed(command)

    def told(variable: str) -> tuple[str, str]:
        return rows[variable]["value"], rows[variable]["source"]

    assert told("FINOPS_SETTLE_DAYS") == ("5", "environment")
    assert told("FINOPS_TOLERANCE") == ("0.1", ".env")
    assert told("FINOPS_RESTATEMENT_DAYS") == ("7", "default")


def test_a_registry_password_is_masked_in_table_and_json(
    command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(
        "FINOPS_REGISTRY_URL", "postgresql://finops:hunter2@db.example/finops?sslpassword=hunter3"
    )
    shown = "postgresql://finops:***@db.example/finops?sslpassword=***"
    table = command(app)
    assert shown in table.stdout
    assert listed(command)["FINOPS_REGISTRY_URL"]["value"] == shown
    for text in (table.stdout, table.stderr, command(app, "--json").stdout):
        assert "hunter" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/finops/registry.db", "sqlite:////var/lib/finops/registry.db"),
        ("postgresql://db/finops", "postgresql://db/finops"),
        ("postgresql+psycopg2://u:p%40ss@db:5432/f", "postgresql+psycopg2://u:***@db:5432/f"),
        ("postgresql://db/f?user=u&password=p", "postgresql://db/f?password=***&user=***"),
        ("postgresql://db/f?sslmode=require", "postgresql://db/f?sslmode=require"),
        ("mssql+pyodbc://?odbc_connect=PWD%3Dp", "mssql+pyodbc://?odbc_connect=***"),
    ],
)
def test_what_can_be_a_credential_is_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_malformed_setting_is_named_without_its_value(
    command: Command, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("FINOPS_REGISTRY_URL", "hunter2 is no url")
    outcome = command(app)
    assert isinstance(outcome.error, UsageError)
    assert "FINOPS_REGISTRY_URL" in str(outcome.error)
    assert "hunter2" not in str(outcome.error)
