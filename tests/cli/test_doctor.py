"""`finops doctor`: what a person and a program see of the checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finops_pipeline.cli.doctor import _print
from finops_pipeline.doctor import Check, Status
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.simulator.faults import Fault
from tests.cli.conftest import Ended

Finops = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer(Scenario.demo(days=40)) as running:
        yield running


@pytest.fixture
def company(
    server: SimulatedServer, data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedServer]:
    """The demonstration's company, two of its teams registered."""
    monkeypatch.setenv("FINOPS_OPENAI_BASE_URL", server.base_url)
    with open_registry(load_settings()) as registry:
        for team in server.scenario.registration.teams[:2]:
            registry.add_team(team.team_id)
            registry.register_key(team.team_id, team.admin_key)
    yield server
    server.control.reset()


def test_json_has_exactly_the_promised_form(finops: Finops, company: SimulatedServer) -> None:
    ended = finops("doctor", "--json")
    answer = json.loads(ended.stdout)
    assert (ended.code, ended.stderr) == (0, "")
    assert set(answer) == {"ok", "checks"}
    assert answer["ok"] is True
    assert {tuple(check) for check in answer["checks"]} == {
        ("name", "team_id", "status", "detail", "fix")
    }
    assert {check["status"] for check in answer["checks"]} == {"ok", "warn"}
    assert {check["team_id"] for check in answer["checks"]} == {None, "search", "support"}


def test_a_failure_exits_with_1(finops: Finops, company: SimulatedServer) -> None:
    key = company.scenario.registration.teams[0].admin_key
    company.control.plant_fault(Fault(kind="status", status=401, key=key, message=f"Bad {key}"))
    ended = finops("doctor", "--json")
    assert ended.code == 1
    answer = json.loads(ended.stdout)
    assert answer["ok"] is False
    assert [(check["name"], check["team_id"]) for check in _failed(answer)] == [
        ("costs_call", "search")
    ]
    assert key not in ended.stdout

    ended = finops("doctor")
    assert ended.code == 1
    assert key not in ended.stdout


def test_the_table_fits_80_columns(finops: Finops, company: SimulatedServer) -> None:
    ended = finops("doctor")
    assert ended.code == 0
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(
        line.split() == ["ok", "team", "search:", "key_decrypts,", "costs_call,", "scopes"]
        for line in lines
    )
    assert lines[-1].endswith("checks: 0 failed, 2 to look at.")


def test_one_team_alone(finops: Finops, company: SimulatedServer) -> None:
    answer = json.loads(finops("doctor", "--team", "support", "--json").stdout)
    assert {check["team_id"] for check in answer["checks"]} == {None, "support"}

    ended = finops("doctor", "--team", "suport")
    assert ended.code == 2
    assert "Did you mean 'support'?" in ended.stderr


def test_a_fresh_machine_is_no_failure(finops: Finops, data: Path) -> None:
    ended = finops("doctor")
    assert ended.code == 0
    assert "→ Begin with `finops team add TEAM`" in ended.stdout
    assert not data.exists()


def test_an_unusable_setting_is_a_finding(
    finops: Finops, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setenv("FINOPS_SETTLE_DAYS", "soon")
    ended = finops("doctor", "--json")
    assert ended.code == 1
    (found,) = json.loads(ended.stdout)["checks"]
    assert (found["name"], found["status"]) == ("settings", "fail")
    assert "FINOPS_SETTLE_DAYS" in found["detail"]


def test_what_could_steer_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _print([Check("costs_call", "web", Status.FAIL, "500: \x1b[2J[bold]gone[/bold]", "Wait.")])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]gone[/bold]" in shown


def _failed(answer: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [check for check in answer["checks"] if check["status"] == "fail"]
