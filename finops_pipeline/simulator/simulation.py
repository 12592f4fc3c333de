"""One running simulation: the organizations, who may ask, what time it is, what goes wrong."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from finops_pipeline.simulator.clock import Clock
from finops_pipeline.simulator.consumption import EXACT
from finops_pipeline.simulator.faults import Faults
from finops_pipeline.simulator.legacy import CallsOfKeys
from finops_pipeline.simulator.model import Scope
from finops_pipeline.simulator.organization import Organization, finest_grouping
from finops_pipeline.simulator.rendering import Buckets
from finops_pipeline.simulator.scenario import Scenario, Wire
from finops_pipeline.simulator.usage_rendering import UsageBuckets

EVERY_SCOPE: frozenset[Scope] = frozenset({"api.usage.read", "api.management.read"})
_REQUESTS_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Access:
    """What an admin key opens, and the status of a call that it may not make."""

    organization: Organization
    scopes: frozenset[Scope]
    refusal_status: int


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """What an ordinary key opens: one project."""

    organization: Organization
    project_id: str


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One call of the public API.

    Attributes:
        last4: The last four characters of the key that was shown; None without a key.
        status: What was answered; None where the connection was dropped first.
        fault: The kind of the planted fault that fired, if any.
    """

    path: str
    query: str
    last4: str | None
    status: int | None
    fault: str | None


class Simulation:
    """The state that the public and the control endpoints share."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock = Clock(scenario.now)
        self.buckets = Buckets(scenario.wire)
        self.usage_buckets = UsageBuckets()
        self.faults = Faults()
        self.requests: deque[RecordedRequest] = deque(maxlen=_REQUESTS_KEPT)
        self.organizations: dict[str, Organization] = {}
        self.calls_of_keys = CallsOfKeys(scenario.legacy_limit)
        self._access: dict[str, Access] = {}
        self._project_access: dict[str, ProjectAccess] = {}
        for simulated in scenario.organizations:
            organization = Organization(simulated, seed=scenario.seed, start=scenario.start)
            self.organizations[simulated.id] = organization
            for key in simulated.admin_keys:
                self._access[key] = Access(organization, EVERY_SCOPE, 403)
            for restricted in simulated.restricted_keys:
                self._access[restricted.key] = Access(
                    organization, frozenset(restricted.scopes), restricted.refusal_status
                )
            for project in simulated.projects:
                for key in project.keys:
                    self._project_access[key] = ProjectAccess(organization, project.id)

    def reset(self) -> None:
        """Go back to the scenario: clock, wire, faults, limits, restatements, recorded requests."""
        self.clock.set(self.scenario.now)
        self.faults.clear()
        self.requests.clear()
        self.calls_of_keys.clear()
        for organization in self.organizations.values():
            for day in organization.restore_all():
                self.buckets.forget(organization, day)
        self.usage_buckets.forget()
        if self.buckets.wire != self.scenario.wire:
            self.set_wire(self.scenario.wire)

    def set_wire(self, wire: Wire) -> None:
        """Let answers look like this from now on."""
        self.buckets.wire = wire
        self.usage_buckets.forget()

    def access(self, key: str) -> Access | None:
        """What a key opens; None for an unknown one."""
        return self._access.get(key)

    def project_access(self, key: str) -> ProjectAccess | None:
        """What an ordinary key opens; None for an unknown one."""
        return self._project_access.get(key)

    def hours(self, day: date) -> int:
        """How many hours of a UTC day have passed: 24 once it is closed, 0 before it begins."""
        elapsed = self.clock.now() - datetime.combine(day, time(), tzinfo=UTC)
        return max(0, min(24, elapsed // timedelta(hours=1)))

    def prerender(self) -> None:
        """Render every closed bucket in the finest grouping of its day."""
        today = self.clock.now().date()
        for organization in self.organizations.values():
            for day in _days(organization.first_day, today):
                self.buckets.bucket(organization, day, 24, finest_grouping(day))

    def totals(
        self, organization_id: str | None = None, start: date | None = None, end: date | None = None
    ) -> list[dict[str, Any]]:
        """What was billed by organization, day, project and currency, as decimal strings.

        ``end`` is exclusive. Today counts as far as it has come.
        """
        until = self.clock.now().date() + timedelta(days=1)
        return [
            {
                "organization_id": identifier,
                "day": day.isoformat(),
                "project_id": project_id,
                "currency": currency,
                "amount": str(amount),
            }
            for identifier, organization in self.organizations.items()
            if organization_id in (None, identifier)
            for day in _days(start or organization.first_day, min(end or until, until))
            for (project_id, currency), amount in self.buckets.totals(
                organization, day, self.hours(day)
            ).items()
        ]

    def gaps(
        self, organization_id: str | None = None, start: date | None = None, end: date | None = None
    ) -> list[dict[str, Any]]:
        """Why costs and usage at list price differ, by organization, day, project and cause.

        Amounts are exact decimal strings, those that come to nothing left out; ``end`` is
        exclusive, and open days are left out. Restatements are not looked at.
        """
        today = self.clock.now().date()
        sums: dict[tuple[str, date, str | None, str], Decimal] = defaultdict(Decimal)
        for identifier, organization in self.organizations.items():
            if organization_id not in (None, identifier):
                continue
            for day in _days(start or organization.first_day, min(end or today, today)):
                for part in organization.differences(day):
                    key = (identifier, day, part.project_id, part.cause)
                    sums[key] = EXACT.add(sums[key], part.amount)
        return [
            {
                "organization_id": identifier,
                "day": day.isoformat(),
                "project_id": project_id,
                "cause": cause,
                "amount": str(amount),
            }
            for (identifier, day, project_id, cause), amount in sums.items()
            if amount
        ]

    def recorded(self) -> list[dict[str, Any]]:
        return [asdict(request) for request in self.requests]


def _days(start: date, end: date) -> Iterator[date]:
    for number in range((end - start).days):
        yield start + timedelta(days=number)
