"""What a key opens: organization, spend, projects, scopes; and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from finops_pipeline.openai_admin import AdminClient, OpenAIError
from finops_pipeline.openai_admin.access import examine, sees_project
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.simulator.model import (
    RestrictedKey,
    SimulatedOrganization,
    SimulatedProject,
)
from tests.openai_admin.conftest import FAST, Reply, ScriptedServer, bucket, page

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
Clients = Callable[[str], AdminClient]


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedServer]:
    busy = SimulatedOrganization(
        id="org-busy",
        name="Busy",
        admin_keys=["sk-admin-everything"],
        restricted_keys=(
            RestrictedKey(key="sk-admin-costs-only", scopes=("api.usage.read",)),
            RestrictedKey(key="sk-admin-lists-only", scopes=("api.management.read",)),
            RestrictedKey(
                key="sk-admin-costs-only-401", scopes=("api.usage.read",), refusal_status=401
            ),
        ),
        projects=(
            SimulatedProject(id="proj_named", name="Named", uses=("gpt-4o-mini-2024-07-18",)),
            SimulatedProject(
                id="proj_old",
                name="Old",
                uses=("gpt-4o-mini-2024-07-18",),
                archived_on=date(2025, 12, 20),
            ),
            SimulatedProject(id="proj_idle", uses=("gpt-4o-mini-2024-07-18",), volume_percent=0),
        ),
    )
    quiet = SimulatedOrganization(id="org-quiet", name="Quiet", admin_keys=["sk-admin-quiet"])
    scenario = Scenario(start=date(2025, 10, 1), now=NOW, organizations=(busy, quiet))
    with SimulatedServer(scenario) as server:
        yield server


@pytest.fixture
def client(simulated: SimulatedServer) -> Iterator[Clients]:
    opened = []

    def make(key: str) -> AdminClient:
        made = AdminClient(
            team_id="growth", base_url=simulated.base_url, api_key=lambda: key, retry=FAST
        )
        opened.append(made)
        return made

    yield make
    for each in opened:
        each.close()


def test_a_key_with_every_scope(client: Clients) -> None:
    access = examine(client("sk-admin-everything"))

    assert access.organization_id == "org-busy"
    assert access.saw_costs
    assert access.may_list_projects
    assert access.projects == {"proj_named": "Named", "proj_old": "Old", "proj_idle": None}
    assert access.server_time is not None
    assert abs(access.server_time - NOW).total_seconds() < 3600
    assert access.warnings == ()


@pytest.mark.parametrize("key", ["sk-admin-costs-only", "sk-admin-costs-only-401"])
def test_names_are_optional(client: Clients, key: str) -> None:
    access = examine(client(key))

    assert (access.organization_id, access.saw_costs) == ("org-busy", True)
    assert (access.may_list_projects, access.projects) == (False, {})
    (warning,) = access.warnings
    assert "api.management.read" in warning


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("sk-admin-lists-only", "missing_scope"),
        ("sk-proj-a-project-key", "missing_scope"),
        ("sk-admin-unknown", "bad_key"),
    ],
)
def test_a_key_that_cannot_read_costs(client: Clients, key: str, reason: str) -> None:
    with pytest.raises(OpenAIError) as caught:
        examine(client(key))
    assert caught.value.reason == reason
    if reason == "missing_scope":
        assert "api.usage.read" in str(caught.value)


def test_an_organization_without_spend_names_itself_nowhere(client: Clients) -> None:
    access = examine(client("sk-admin-quiet"))

    assert (access.organization_id, access.saw_costs) == (None, False)
    assert access.may_list_projects
    assert any("no spend" in warning for warning in access.warnings)


@pytest.mark.parametrize(
    ("key", "project", "seen"),
    [
        ("sk-admin-everything", "proj_named", True),
        ("sk-admin-everything", "proj_idle", True),
        ("sk-admin-everything", "proj_elsewhere", False),
        ("sk-admin-costs-only", "proj_named", True),
        ("sk-admin-costs-only", "proj_old", True),  # spent only months ago
        ("sk-admin-costs-only", "proj_idle", None),
        ("sk-admin-costs-only", "proj_elsewhere", None),
        ("sk-admin-quiet", "proj_named", False),
    ],
)
def test_whether_a_project_is_seen(
    client: Clients, key: str, project: str, *, seen: bool | None
) -> None:
    assert sees_project(client(key), project) is seen


def test_what_is_known_of_a_key_is_not_asked_again(
    client: Clients, simulated: SimulatedServer
) -> None:
    opened = client("sk-admin-everything")
    access = examine(opened)
    before = opened.calls

    assert sees_project(opened, "proj_named", access=access)
    assert opened.calls == before
    assert sees_project(opened, "proj_elsewhere", access=access) is False
    asked = [request.query for request in simulated.control.requests()][before - opened.calls :]
    assert all("project_ids%5B%5D=proj_elsewhere" in query for query in asked)


def test_a_broken_list_of_projects_is_a_warning(server: ScriptedServer) -> None:
    server.play(*[Reply({"error": {"message": "oops"}}, 500)] * 2)
    server.otherwise = lambda asked: Reply(costs(asked, 0.5))
    with server.client() as client:
        access = examine(client)

    assert not access.may_list_projects
    assert access.saw_costs
    (warning,) = access.warnings
    assert warning.startswith("the projects cannot be listed now: Team 'growth'")


def test_zeros_are_no_spend_and_other_projects_no_sighting(server: ScriptedServer) -> None:
    server.play(Reply({"object": "list", "data": []}))
    server.otherwise = lambda asked: Reply(costs(asked, 0))
    with server.client() as client:
        access = examine(client)
        assert not access.saw_costs
        # This server does not know the filter and answers with another project's rows.
        assert sees_project(client, "proj_b", access=access) is False
        assert sees_project(client, "proj_a", access=access) is True


def test_without_a_clock_of_the_server_ours_counts(server: ScriptedServer) -> None:
    server.otherwise = lambda asked: (
        Reply({"object": "list", "data": []}, date=None)
        if asked.path.endswith("projects")
        else Reply(costs(asked, 0.5), date=None)
    )
    with server.client() as client:
        access = examine(client)

    assert access.server_time is None
    assert server.asked[-1].days[1] == datetime.now(UTC).date()


def costs(asked: object, value: float) -> object:
    from datetime import timedelta

    from tests.openai_admin.conftest import Asked, row

    assert isinstance(asked, Asked)
    first, end = asked.days
    count = min(int(asked["limit"]), (end - first).days)
    return page(*[bucket(first + timedelta(days=n), row(value)) for n in range(count)])
