"""The control endpoints: what a test or a demonstration changes about the simulation."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, TypeVar

from pydantic import AwareDatetime, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from finops_pipeline.simulator.api import bearer
from finops_pipeline.simulator.errors import RefusalError
from finops_pipeline.simulator.faults import Fault
from finops_pipeline.simulator.model import Part
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.restatement import Restatement, UsageRestatement
from finops_pipeline.simulator.scenario import Wire
from finops_pipeline.simulator.simulation import Simulation

Handler = Callable[[Request], Awaitable[Response]]
PartT = TypeVar("PartT", bound=Part)


class ClockSetting(Part):
    """Where the clock stands from now on (with a time zone); None: real time."""

    now: AwareDatetime | None


class DayRestatement(Part):
    """A restatement and where it applies."""

    organization_id: str
    day: date
    change: Restatement


class UsageDayRestatement(Part):
    """A restatement of usage and where it applies."""

    organization_id: str
    day: date
    change: UsageRestatement


class DaysQuery(Part):
    """Which organizations and days are wanted: ``end`` is exclusive, None leaves a bound open."""

    organization_id: str | None = None
    start: date | None = None
    end: date | None = None


class ControlApi:
    """The endpoints below ``/control``. Every one needs the control token as bearer."""

    def __init__(self, simulation: Simulation, token: str) -> None:
        self._simulation = simulation
        self._token = token

    def routes(self) -> list[Route]:
        endpoints: list[tuple[str, str, Handler]] = [
            ("GET", "clock", self._clock),
            ("PUT", "clock", self._set_clock),
            ("GET", "wire", self._wire),
            ("PATCH", "wire", self._set_wire),
            ("POST", "restate", self._restate),
            ("POST", "restate_usage", self._restate_usage),
            ("POST", "faults", self._plant_fault),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "totals", self._totals),
            ("GET", "gaps", self._gaps),
            ("GET", "requests", self._requests),
            ("DELETE", "requests", self._forget_requests),
            ("POST", "prerender", self._prerender),
            ("POST", "reset", self._reset),
        ]
        return [
            Route(f"/control/{name}", self._guarded(handler), methods=[method])
            for method, name, handler in endpoints
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            shown = bearer(request.headers.get("authorization")) or ""
            if not secrets.compare_digest(shown.encode(), self._token.encode()):
                raise RefusalError(401, "The control endpoints need the control token as bearer.")
            return await handler(request)

        return guarded

    async def _clock(self, _: Request) -> Response:
        return JSONResponse({"now": self._simulation.clock.now().isoformat()})

    async def _set_clock(self, request: Request) -> Response:
        self._simulation.clock.set((await _read(request, ClockSetting)).now)
        return await self._clock(request)

    async def _wire(self, _: Request) -> Response:
        return JSONResponse(self._simulation.buckets.wire.model_dump())

    async def _set_wire(self, request: Request) -> Response:
        changed = {**self._simulation.buckets.wire.model_dump(), **await _object(request)}
        self._simulation.set_wire(_checked(Wire, changed))
        return await self._wire(request)

    async def _restate(self, request: Request) -> Response:
        restatement = await _read(request, DayRestatement)
        organization = self._organization(restatement.organization_id)
        organization.restate(restatement.day, restatement.change)
        self._simulation.buckets.forget(organization, restatement.day)
        return JSONResponse({})

    async def _restate_usage(self, request: Request) -> Response:
        restatement = await _read(request, UsageDayRestatement)
        organization = self._organization(restatement.organization_id)
        organization.restate_usage(restatement.day, restatement.change)
        self._simulation.usage_buckets.forget()
        return JSONResponse({})

    def _organization(self, organization_id: str) -> Organization:
        organization = self._simulation.organizations.get(organization_id)
        if organization is None:
            raise RefusalError(404, f"There is no organization {organization_id}.")
        return organization

    async def _plant_fault(self, request: Request) -> Response:
        self._simulation.faults.plant(await _read(request, Fault))
        return JSONResponse({})

    async def _clear_faults(self, _: Request) -> Response:
        self._simulation.faults.clear()
        return JSONResponse({})

    async def _totals(self, request: Request) -> Response:
        wanted = _checked(DaysQuery, dict(request.query_params))
        return JSONResponse(
            self._simulation.totals(wanted.organization_id, wanted.start, wanted.end)
        )

    async def _gaps(self, request: Request) -> Response:
        wanted = _checked(DaysQuery, dict(request.query_params))
        return JSONResponse(self._simulation.gaps(wanted.organization_id, wanted.start, wanted.end))

    async def _requests(self, _: Request) -> Response:
        return JSONResponse(self._simulation.recorded())

    async def _forget_requests(self, _: Request) -> Response:
        self._simulation.requests.clear()
        return JSONResponse({})

    async def _prerender(self, _: Request) -> Response:
        self._simulation.prerender()
        return JSONResponse({})

    async def _reset(self, _: Request) -> Response:
        self._simulation.reset()
        return JSONResponse({})


async def _object(request: Request) -> dict[str, Any]:
    try:
        content = await request.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RefusalError(400, "The body is no JSON object.")
    return content


async def _read(request: Request, model: type[PartT]) -> PartT:
    return _checked(model, await _object(request))


def _checked(model: type[PartT], content: dict[str, Any]) -> PartT:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise RefusalError(400, f"{field}: {first['msg']}", param=field) from None
