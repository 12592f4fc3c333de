"""What is found of a team: its keys, what OpenAI says to them, which projects they see."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from finops_pipeline.doctor import Status
from finops_pipeline.registry import open_registry
from finops_pipeline.simulator.faults import Fault
from tests.doctor.conftest import Change, Installation


def test_a_key_that_does_not_decrypt_has_its_sentence(installation: Installation) -> None:
    with closing(sqlite3.connect(installation.settings.registry_path)) as connection, connection:
        connection.execute("UPDATE api_keys SET iv = zeroblob(12) WHERE team_id = 'search'")
    checks = installation.checks()
    found = checks["key_decrypts", "search"]
    assert found.status is Status.FAIL
    assert found.detail.startswith("Decryption fails")
    assert "finops key rotate search" in found.fix
    assert ("costs_call", "search") not in checks
    assert installation.failed() == {("key_decrypts", "search")}


def test_a_key_of_another_host_has_its_sentence(installation: Installation, change: Change) -> None:
    change(openai_base_url="http://127.0.0.1:9/v1")
    found = installation.checks()["key_decrypts", "search"]
    assert found.status is Status.FAIL
    assert "was registered for the API host" in found.detail
    assert "FINOPS_OPENAI_BASE_URL" in found.fix


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_scope_has_its_sentence(installation: Installation, status: int) -> None:
    installation.server.control.plant_fault(
        Fault(
            kind="status",
            status=status,
            endpoint="costs",
            key=installation.key_of("search"),
            message="You have insufficient permissions. Missing scopes: api.usage.read",
        )
    )
    checks = installation.checks("search")
    assert checks["scopes", "search"].status is Status.FAIL
    assert "lacks the scope api.usage.read" in checks["scopes", "search"].detail
    assert "Give the admin key the scope api.usage.read" in checks["scopes", "search"].fix


def test_a_project_key_is_no_admin_key(installation: Installation) -> None:
    installation.server.control.plant_fault(
        Fault(
            kind="status",
            status=401,
            key=installation.key_of("search"),
            message="Incorrect API key provided: sk-proj-1234",
            code="invalid_api_key",
        )
    )
    found = installation.checks("search")["costs_call", "search"]
    assert found.status is Status.FAIL
    assert "finops key rotate search" in found.fix


def test_names_are_optional(installation: Installation) -> None:
    _forbid_listing(installation)
    checks = installation.checks("search")
    assert checks["scopes", "search"].status is Status.OK
    assert "lacks the scope api.management.read" in checks["scopes", "search"].detail
    assert checks["projects_visible", "search"].status is Status.OK


def test_a_project_that_the_key_cannot_see_has_its_sentence(installation: Installation) -> None:
    with open_registry(installation.settings) as registry:
        registry.add_project("typo", team_id="search", openai_project_id=f"proj_{'x' * 24}")
    found = installation.checks()["projects_visible", "search"]
    assert found.status is Status.FAIL
    assert f"does not see proj_{'x' * 24} (typo)" in found.detail
    assert "a wrong project id" in found.detail
    assert installation.failed() == {("projects_visible", "search")}


def test_whether_a_project_is_seen_may_stay_unknown(installation: Installation) -> None:
    with open_registry(installation.settings) as registry:
        registry.add_project("new", team_id="search", openai_project_id=f"proj_{'x' * 24}")
    _forbid_listing(installation)
    found = installation.checks()["projects_visible", "search"]
    assert found.status is Status.WARN
    assert "api.management.read" in found.fix


def test_a_key_of_another_organization_is_told(installation: Installation) -> None:
    stranger = installation.key_of("research")
    installation.server.control.set_wire(organization_id_on_wire=True)
    known = installation.server.scenario.organizations[0].id
    installation.replace_key("search", stranger, organization_id=known)
    found = installation.checks()["organization", "search"]
    assert found.status is Status.FAIL
    assert known in found.detail


def test_a_key_without_any_spend_is_worth_a_look(installation: Installation) -> None:
    # As long before the company's first day as the doctor looks back.
    first = installation.server.scenario.start
    early = datetime.combine(first, datetime.min.time(), UTC) + timedelta(hours=1)
    installation.server.control.set_clock(early)
    checks = installation.checks("search")
    assert checks["costs_call", "search"].status is Status.WARN
    assert "finops key rotate search" in checks["costs_call", "search"].fix


def test_project_keys_are_opened_too(installation: Installation) -> None:
    with open_registry(installation.settings) as registry:
        registry.register_key("search", "sk-proj-" + "a1" * 20, project_id="search-answers")
    assert installation.checks()["project_keys_decrypt", "search"].status is Status.OK

    with closing(sqlite3.connect(installation.settings.registry_path)) as connection, connection:
        connection.execute("UPDATE api_keys SET iv = zeroblob(12) WHERE key_type = 'project'")
    assert installation.failed() == {("project_keys_decrypt", "search")}


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(timedelta(seconds=90), "warn"), (timedelta(hours=2), "fail"), (-timedelta(hours=2), "fail")],
)
def test_a_clock_that_differs_from_the_apis_is_told(
    installation: Installation, ahead: timedelta, status: str
) -> None:
    installation.server.control.set_clock(datetime.now(UTC) - ahead)
    found = installation.checks()["clock_skew", None]
    assert found.status == status
    assert "NTP" in found.fix


def test_the_clock_is_told_by_refusals_too(installation: Installation) -> None:
    installation.server.control.plant_fault(Fault(kind="status", status=401))
    checks = installation.checks()
    assert checks["costs_call", "search"].status is Status.FAIL
    assert checks["clock_skew", None].status is Status.OK


def _forbid_listing(installation: Installation) -> None:
    installation.server.control.plant_fault(
        Fault(
            kind="status",
            status=403,
            endpoint="projects",
            message="Missing scopes: api.management.read",
        )
    )
