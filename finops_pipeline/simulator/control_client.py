"""The control operations from Python, over HTTP: for this process's simulator or another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

import httpx

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.faults import Fault
from finops_pipeline.simulator.model import Cause
from finops_pipeline.simulator.restatement import (
    Operation,
    RestatedRow,
    Restatement,
    UsageRestatement,
)
from finops_pipeline.simulator.scenario import Wire
from finops_pipeline.simulator.simulation import RecordedRequest


@dataclass(frozen=True, slots=True)
class Total:
    """What one OpenAI project was billed on one UTC day in one currency.

    Attributes:
        project_id: None on the level of the organization.
        amount: Sum of the day's results, each rounded half-even at the 18th place.
    """

    organization_id: str
    day: date
    project_id: str | None
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class GapPart:
    """A part of one project's difference between costs and usage at list price, on a UTC day.

    Attributes:
        project_id: None on the level of the organization.
        cause: Where it comes from; all causes of a project and day add up to the difference.
        amount: Exact; positive where more was billed than usage is worth.
    """

    organization_id: str
    day: date
    project_id: str | None
    cause: Cause
    amount: Decimal


class Control:
    """Changes and examines a simulation.

    Every method raises UsageError when the simulator refuses, saying why.

    Args:
        url: The simulator's address without path.
        token: Its control token.
    """

    def __init__(self, url: str, token: str) -> None:
        # Rendering a million rows beforehand takes its time; nothing else comes near this limit.
        self._http = httpx.Client(
            base_url=f"{url}/control/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def clock(self) -> datetime:
        """What time it is in the simulation (UTC)."""
        return datetime.fromisoformat(self._call("GET", "clock")["now"])

    def set_clock(self, now: datetime | None) -> None:
        """Stop the clock at ``now`` (with a time zone); None lets it run with real time."""
        self._call("PUT", "clock", {"now": None if now is None else now.isoformat()})

    def set_wire(self, **changes: Any) -> None:
        """Change fields of :class:`Wire`, such as ``amounts="string"``."""
        self._call("PATCH", "wire", changes)

    def wire(self) -> Wire:
        """How answers look now."""
        return Wire.model_validate(self._call("GET", "wire"))

    def restate(
        self,
        organization_id: str,
        day: date,
        operation: Operation,
        *,
        factor: Decimal = Decimal(1),
        project_id: str | None = None,
        rows: Sequence[RestatedRow] = (),
    ) -> None:
        """Change what was billed for a day; see :class:`Restatement`."""
        change = Restatement(
            operation=operation, factor=factor, project_id=project_id, rows=tuple(rows)
        )
        self._call(
            "POST",
            "restate",
            {
                "organization_id": organization_id,
                "day": day.isoformat(),
                "change": change.model_dump(mode="json"),
            },
        )

    def restate_usage(
        self, organization_id: str, day: date, endpoint: UsageEndpoint, *, factor: Decimal
    ) -> None:
        """Multiply what a usage endpoint tells of a day; see :class:`UsageRestatement`."""
        change = UsageRestatement(endpoint=endpoint, factor=factor)
        self._call(
            "POST",
            "restate_usage",
            {
                "organization_id": organization_id,
                "day": day.isoformat(),
                "change": change.model_dump(mode="json"),
            },
        )

    def plant_fault(self, fault: Fault) -> None:
        """Let something go wrong from now on; see :class:`Fault`."""
        self._call("POST", "faults", fault.model_dump(mode="json"))

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def totals(
        self, organization_id: str | None = None, start: date | None = None, end: date | None = None
    ) -> list[Total]:
        """The truth: what was billed by organization, day, project and currency.

        ``end`` is exclusive; by default everything up to and with today's partial bucket.
        """
        return [
            Total(
                organization_id=total["organization_id"],
                day=date.fromisoformat(total["day"]),
                project_id=total["project_id"],
                currency=total["currency"],
                amount=Decimal(total["amount"]),
            )
            for total in self._about("totals", organization_id, start, end)
        ]

    def gaps(
        self, organization_id: str | None = None, start: date | None = None, end: date | None = None
    ) -> list[GapPart]:
        """Why costs and usage at list price differ on closed days; ``end`` is exclusive.

        Restatements are not looked at.
        """
        return [
            GapPart(
                organization_id=part["organization_id"],
                day=date.fromisoformat(part["day"]),
                project_id=part["project_id"],
                cause=part["cause"],
                amount=Decimal(part["amount"]),
            )
            for part in self._about("gaps", organization_id, start, end)
        ]

    def requests(self) -> list[RecordedRequest]:
        """The calls of the public API so far, oldest first (the newest 100,000)."""
        return [RecordedRequest(**each) for each in self._call("GET", "requests")]

    def reset_requests(self) -> None:
        self._call("DELETE", "requests")

    def prerender(self) -> None:
        """Render all closed buckets, so that later answers come from memory."""
        self._call("POST", "prerender")

    def reset(self) -> None:
        """Go back to the scenario: clock, wire, faults, restatements and recorded requests."""
        self._call("POST", "reset")

    def _about(
        self, what: str, organization_id: str | None, start: date | None, end: date | None
    ) -> list[dict[str, Any]]:
        wanted = {"organization_id": organization_id, "start": start, "end": end}
        query = {name: str(value) for name, value in wanted.items() if value is not None}
        found: list[dict[str, Any]] = self._call("GET", what, query=query)
        return found

    def _call(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        response = self._http.request(method, path, json=content, params=query)
        if response.is_error:
            reason = response.json()["error"]["message"]
            raise UsageError(f"The simulator refused {method} {path}: {reason}")
        return response.json()
