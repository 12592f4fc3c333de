"""Ready-made companies: the one of the demonstration, and large ones for measurements."""

from __future__ import annotations

import calendar
import hashlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from finops_pipeline.simulator.catalogue import OFFERS
from finops_pipeline.simulator.model import (
    Charge,
    Registration,
    SimulatedOrganization,
    SimulatedProject,
    Spike,
    SuggestedProject,
    SuggestedTeam,
)


def _token(name: str, length: int = 24) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:length]


def project_id(name: str) -> str:
    """An id of the usual shape, ``proj_`` and 24 characters, always the same for a name."""
    return f"proj_{_token(name)}"


def admin_key(name: str) -> str:
    """A made-up admin key of the usual shape; it opens nothing but a simulator."""
    return f"sk-admin-{_token(f'key of {name}', 40)}"


def project_key(name: str) -> str:
    """A made-up ordinary key of a project; it opens nothing but a simulator."""
    return f"sk-proj-{_token(f'key of {name}', 40)}"


_TEAMS = {
    "search": ("Search", "CC-4100", "Acme Digital"),
    "support": ("Customer Support", "CC-4200", "Acme Digital"),
    "research": ("Research", "CC-7300", "Acme Research"),
}

# our id: (name, team or None for unregistered, volume in percent, api keys, uses)
_PROJECTS: dict[str, tuple[str, str | None, int, int, tuple[str, ...]]] = {
    "search-ranking": (
        "Search ranking",
        "search",
        260,
        2,
        ("gpt-4.1-mini-2025-04-14", "text-embedding-3-large", "text-embedding-3-small"),
    ),
    "search-answers": (
        "Search answers",
        "search",
        420,
        2,
        (
            "gpt-4o-2024-08-06",
            "priority | gpt-4o-2024-08-06",
            "gpt-5-mini-2025-08-07",
            "web search tool calls",
        ),
    ),
    "search-evaluation": (
        "Search evaluation",
        "search",
        60,
        1,
        ("evals | gpt-4o-mini-2024-07-18", "batch | gpt-4.1-2025-04-14"),
    ),
    "support-assistant": (
        "Support assistant",
        "support",
        310,
        2,
        (
            "assistants api | gpt-4o-2024-08-06",
            "assistants api | file search",
            "Vector storage",
            "ft-gpt-4o-mini-2024-07-18",
            "omni-moderation-latest",
        ),
    ),
    "support-voice": (
        "Support voice",
        "support",
        45,
        1,
        ("gpt-4o-audio-preview-2024-12-17", "gpt-5-nano-2025-08-07"),
    ),
    "support-triage": (
        "Ticket triage (retired)",
        "support",
        80,
        1,
        ("gpt-4o-mini-2024-07-18", "gpt-4.1-nano-2025-04-14"),
    ),
    "research-agents": (
        "Research agents",
        "research",
        520,
        2,
        (
            "gpt-5-2025-08-07",
            "gpt-5.4-2026-03-05",
            "gpt-4.1-2025-04-14, long context",
            "o3-2025-04-16",
            "web search tool calls",
        ),
    ),
    "research-design": (
        "Design studies",
        "research",
        70,
        1,
        ("gpt-image-1", "Image models", "flex | o4-mini-2025-04-16"),
    ),
    "hackathon": ("Hackathon", None, 55, 1, ("gpt-5-mini-2025-08-07", "o4-mini-2025-04-16")),
}

_ORGANIZATION_PROJECTS = {
    "Acme Digital": [name for name in _PROJECTS if not name.startswith("research")],
    "Acme Research": [name for name in _PROJECTS if name.startswith("research")],
}


def _in_previous_month(now: date, day: int, start: date) -> date:
    last = now.replace(day=1) - timedelta(days=1)
    return max(start, last.replace(day=min(day, calendar.monthrange(last.year, last.month)[1])))


def _fees(organization: str, start: date, until: date) -> list[Charge]:
    """A monthly platform fee without project, on the first; every other one without line item."""
    months = range(start.year * 12 + start.month - 1, until.year * 12 + until.month)
    firsts = (date(month // 12, month % 12 + 1, 1) for month in months)
    line_item = "Scale tier" if organization == "Acme Digital" else None
    return [
        Charge(day=first, amount=Decimal("125.00"), line_item=line_item)
        for first in firsts
        if start <= first <= until
    ]


def demo(
    *, start: date | None, now: datetime | None, days: int
) -> tuple[date, tuple[SimulatedOrganization, ...], Registration]:
    """The parts of :meth:`Scenario.demo`."""
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    first = start or today - timedelta(days=days)
    # Fees reach past today: the clock of a running simulator goes on.
    horizon = today + timedelta(days=400)
    organizations = []
    for organization, names in _ORGANIZATION_PROJECTS.items():
        charges = _fees(organization, first, horizon)
        spikes = []
        if organization == "Acme Digital":
            charges.append(
                Charge(
                    day=_in_previous_month(today, 20, first),
                    amount=Decimal("-84.210000000000000000000000000000000000001"),
                    project_id=project_id("search-answers"),
                    line_item="Service credit",
                )
            )
        else:
            spikes.append(
                Spike(
                    project_id=project_id("research-agents"),
                    day=_in_previous_month(today, 12, first),
                    factor=9,
                )
            )
        organizations.append(
            SimulatedOrganization(
                id=f"org-{_token(organization)}",
                name=organization,
                admin_keys=[admin_key(team) for team in _TEAMS if _TEAMS[team][2] == organization],
                projects=tuple(
                    _demo_project(name, archived_on=_in_previous_month(today, 8, first))
                    for name in names
                ),
                organization_uses=("Vector storage",) if organization == "Acme Digital" else (),
                charges=tuple(charges),
                spikes=tuple(spikes),
            )
        )
    return first, tuple(organizations), _demo_registration()


def _demo_project(name: str, archived_on: date) -> SimulatedProject:
    title, _, volume, api_keys, uses = _PROJECTS[name]
    return SimulatedProject(
        id=project_id(name),
        name=title,
        uses=uses,
        volume_percent=volume,
        api_keys=api_keys,
        keys=(project_key(name),),
        archived_on=archived_on if name == "support-triage" else None,
    )


def _demo_registration() -> Registration:
    return Registration(
        teams=tuple(
            SuggestedTeam(
                team_id=team_id,
                name=name,
                cost_center=cost_center,
                owner_email=f"{team_id}-lead@acme.example",
                admin_key=admin_key(team_id),
            )
            for team_id, (name, cost_center, _) in _TEAMS.items()
        ),
        projects=tuple(
            SuggestedProject(
                project_id=name,
                name=title,
                team_id=team_id,
                openai_project_id=project_id(name),
                environment="evaluation" if name == "search-evaluation" else "production",
            )
            for name, (title, team_id, *_) in _PROJECTS.items()
            if team_id is not None
        ),
    )


def bulk(
    organizations: int, *, projects: int, days: int, rows_per_day: int, end: date
) -> tuple[date, datetime, tuple[SimulatedOrganization, ...], Registration]:
    """The parts of :meth:`Scenario.bulk`."""
    everything = tuple(OFFERS)
    teams = [f"team-{number:03}" for number in range(1, organizations + 1)]
    simulated = tuple(
        SimulatedOrganization(
            id=f"org-{_token(team)}",
            name=f"Organization of {team}",
            admin_keys=[admin_key(team)],
            projects=tuple(
                SimulatedProject(
                    id=project_id(f"{team}/{number}"),
                    name=f"Project {number} of {team}",
                    uses=everything,
                )
                for number in range(1, projects + 1)
            ),
            rows_per_day=rows_per_day,
        )
        for team in teams
    )
    registration = Registration(
        teams=tuple(
            SuggestedTeam(
                team_id=team,
                name=f"Team {team[-3:]}",
                cost_center=f"CC-{team[-3:]}",
                owner_email=f"{team}@acme.example",
                admin_key=admin_key(team),
            )
            for team in teams
        ),
        projects=tuple(
            SuggestedProject(
                project_id=f"{team}-project-{number:03}",
                name=f"Project {number} of {team}",
                team_id=team,
                openai_project_id=project_id(f"{team}/{number}"),
            )
            for team in teams
            for number in range(1, projects + 1)
        ),
    )
    now = datetime.combine(end, time(), tzinfo=UTC)
    return end - timedelta(days=days), now, simulated, registration
