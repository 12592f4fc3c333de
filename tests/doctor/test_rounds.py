"""The whole examination: what it says of a good, a fresh and a broken installation."""

from __future__ import annotations

import pytest

from finops_pipeline.doctor import Check, Status, diagnose, teams
from finops_pipeline.doctor.check import guarded, ok
from finops_pipeline.errors import UsageError
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import Settings
from finops_pipeline.simulator.faults import Fault
from tests.doctor.conftest import Installation

OF_ALL = {
    "settings",
    "registry",
    "teams_with_key",
    "projects_with_openai_id",
    "wrapping_key",
    "key_file_place",
    "clock_skew",
    "published",
    "warehouse_writable",
    "dagster_storage",
    "disk_space",
}
OF_EACH_TEAM = {"key_decrypts", "costs_call", "scopes", "projects_visible"}


def test_a_good_installation_is_well_and_every_check_has_its_name(
    installation: Installation,
) -> None:
    checks = installation.checks()
    assert {name for name, team in checks if team is None} == OF_ALL
    for team_id in ("research", "search", "support"):
        assert {name for name, team in checks if team == team_id} == OF_EACH_TEAM
    assert {place for place, check in checks.items() if check.status != "ok"} == {
        ("published", None)
    }


def test_a_fresh_machine_gets_next_steps_and_no_failure(blank: Installation) -> None:
    checks = blank.checks()
    assert {check.status for check in checks.values()} == {Status.OK, Status.WARN}
    steps = [check.fix for check in checks.values() if check.fix]
    assert "finops team add" in steps[0]
    assert "finops run" in steps[-1]
    assert not blank.settings.data_dir.exists()
    assert not blank.settings.key_file.exists()


def test_a_team_without_a_key_is_the_next_step(blank: Installation) -> None:
    with open_registry(blank.settings) as registry:
        registry.add_team("web")
    checks = blank.checks()
    assert checks["teams_with_key", None].status is Status.WARN
    assert "0 of 1 active teams" in checks["teams_with_key", None].detail
    assert "finops key register web" in checks["teams_with_key", None].fix
    assert "finops project add" in checks["projects_with_openai_id", None].fix
    assert checks["wrapping_key", None].status is Status.OK
    assert not blank.settings.key_file.exists()


def test_one_team_can_be_asked_for(installation: Installation) -> None:
    checks = installation.checks("search")
    assert {team for _, team in checks} == {None, "search"}
    assert "1 of 1 active teams" in checks["teams_with_key", None].detail

    with pytest.raises(UsageError, match=r"'serach' is not registered. Did you mean 'search'"):
        installation.checks("serach")


def test_broken_teams_hide_neither_each_other_nor_the_rest(installation: Installation) -> None:
    control = installation.server.control
    control.plant_fault(Fault(kind="garbage", key=installation.key_of("support")))
    control.plant_fault(
        Fault(
            kind="status",
            status=401,
            key=installation.key_of("search"),
            message="Incorrect API key provided",
        )
    )
    checks = installation.checks()
    assert {place for place, check in checks.items() if check.status == "fail"} == {
        ("costs_call", "support"),
        ("costs_call", "search"),
    }
    assert checks["costs_call", "research"].status is Status.OK
    assert checks["disk_space", None].status is Status.OK


def test_an_unforeseen_error_is_a_finding_without_its_text(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = installation.key_of("search")

    def crash(client: object) -> None:
        raise RuntimeError(f"with the key {key} in it")

    monkeypatch.setattr(teams, "examine", crash)
    checks = installation.checks()
    for team_id in ("research", "search", "support"):
        assert checks["key_decrypts", team_id].status is Status.OK
        found = checks["costs_call", team_id]
        assert found.status is Status.FAIL
        assert found.detail == "This check broke off unexpectedly (RuntimeError)."
    assert key not in repr(checks)


def test_what_was_found_before_a_check_broke_off_stays() -> None:
    def checks() -> object:
        yield ok("first", "Fine.")
        raise KeyError("second")

    found = guarded("second", checks())  # type: ignore[arg-type]
    assert [(check.name, check.status) for check in found] == [("first", "ok"), ("second", "fail")]


def test_unusable_settings_are_the_only_finding() -> None:
    def unusable() -> Settings:
        raise UsageError("Setting FINOPS_X is not usable.", "Correct it.")

    assert diagnose(unusable) == [
        Check("settings", None, Status.FAIL, "Setting FINOPS_X is not usable.", "Correct it.")
    ]


def test_a_broken_registry_hides_nothing_else(installation: Installation) -> None:
    installation.settings.registry_path.write_bytes(b"no database" * 1000)
    checks = installation.checks()
    assert checks["registry", None].status is Status.FAIL
    assert "is no SQLite database" in checks["registry", None].detail
    assert {name for name, _ in checks} >= {"disk_space", "published", "warehouse_writable"}


def test_progress_is_told_for_each_team(installation: Installation) -> None:
    told: list[tuple[int, int]] = []
    diagnose(lambda: installation.settings, on_progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_every_decryption_is_on_record(installation: Installation) -> None:
    installation.checks()
    with open_registry(installation.settings) as registry:
        opened = [each.team_id for each in registry.audit_entries() if each.action == "key.decrypt"]
    assert sorted(map(str, opened)) == ["research", "search", "support"]
