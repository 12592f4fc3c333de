"""A tenth of all calls goes wrong: nothing is lost, nothing is doubled, few calls are wasted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from finops_pipeline.openai_admin import AdminClient, RetryPolicy
from finops_pipeline.simulator import Fault, Scenario
from finops_pipeline.simulator.model import (
    Registration,
    SimulatedOrganization,
    SimulatedProject,
    SuggestedTeam,
)
from tests.ingestion.company import SimulatedCompany, Totals, admin_key

START = date(2025, 1, 1)
SHARE = 0.02
"""Of each of five kinds of fault: a tenth in all. Each seed strikes within fifty calls."""

FAULTS = (
    Fault(kind="status", status=429, retry_after=0, probability=SHARE, seed=0),
    Fault(kind="status", status=500, probability=SHARE, seed=6),
    Fault(kind="drop", probability=SHARE, seed=8),
    Fault(kind="truncated", probability=SHARE, seed=10),
    Fault(kind="slow", seconds=0.05, probability=SHARE, seed=11),
)
AS_OFTEN_AS_IN_PRODUCTION = RetryPolicy(first_wait=0.001, max_wait=0.002, jitter=0.0)


def many_teams(count: int, days: int) -> Scenario:
    """Each team is an organization of its own, with one project."""
    names = [f"team-{number:03}" for number in range(count)]
    end = datetime(2025, 1, 1, 9, tzinfo=UTC) + timedelta(days=days)
    return Scenario(
        start=START,
        now=end,
        organizations=tuple(
            SimulatedOrganization(
                id=f"org-{name}",
                name=name,
                admin_keys=[admin_key(name)],
                projects=(SimulatedProject(id=f"proj_{name}", uses=("gpt-4o-mini-2024-07-18",)),),
            )
            for name in names
        ),
        registration=Registration(
            teams=tuple(
                SuggestedTeam(
                    team_id=name,
                    name=name,
                    cost_center="CC-1",
                    owner_email=f"{name}@acme.example",
                    admin_key=admin_key(name),
                )
                for name in names
            ),
            projects=(),
        ),
    )


@pytest.mark.parametrize(
    ("teams", "days"),
    [(12, 150), pytest.param(100, 365, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_faults_at_a_tenth_of_all_calls(
    make_company: Callable[[Scenario], SimulatedCompany], teams: int, days: int
) -> None:
    company = make_company(many_teams(teams, days))
    last = START + timedelta(days=days - 1)

    def make_client(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        return AdminClient(
            team_id=team_id,
            base_url=company.settings.openai_base_url,
            api_key=api_key,
            retry=AS_OFTEN_AS_IN_PRODUCTION,
        )

    company.server.control.set_wire(clamp_limit_to_31=True)  # makes many calls of few days
    for fault in FAULTS:
        company.server.control.plant_fault(fault)
    disturbed = company.collect(START, last, make_client=make_client)
    requests = company.server.control.requests()
    hit = [request.fault for request in requests if request.fault]
    assert set(hit) == {fault.kind for fault in FAULTS}
    assert len(hit) > 0.05 * len(requests)

    assert disturbed.failed_teams == {}
    assert len(disturbed.buckets) == teams * days
    assert company.count("collections") == teams * days
    truth: dict[str, Totals] = {}
    for total in company.server.control.totals(end=last + timedelta(days=1)):
        of_team = truth.setdefault(total.organization_id.removeprefix("org-"), {})
        of_team[total.day, total.project_id] = total.amount
    assert company.seen_by_all() == truth

    company.server.control.clear_faults()
    faultless = company.collect(START, last, make_client=make_client)
    assert faultless.rows_landed == 0, "every row had landed, once"
    assert faultless.calls < disturbed.calls <= 1.4 * faultless.calls
