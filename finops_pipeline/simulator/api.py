"""The public endpoints, answering as OpenAI's organization API does."""

from __future__ import annotations

import calendar
import json
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from finops_pipeline.simulator.catalogue import USAGE_ENDPOINTS, UsageEndpoint
from finops_pipeline.simulator.errors import (
    RefusalError,
    bad_parameter,
    missing_scope,
    no_key,
    no_project_key,
    wrong_key,
)
from finops_pipeline.simulator.legacy import legacy_answer
from finops_pipeline.simulator.model import Scope, SimulatedProject
from finops_pipeline.simulator.organization import Organization, grouped, selected
from finops_pipeline.simulator.query import (
    BucketQuery,
    parse_costs_query,
    parse_legacy_query,
    parse_usage_query,
)
from finops_pipeline.simulator.simulation import Simulation

MAX_PROJECTS = 100
DEFAULT_PROJECTS = 20
USAGE_PATHS: dict[str, UsageEndpoint] = {
    f"/v1/organization/usage/{endpoint}": endpoint for endpoint in USAGE_ENDPOINTS
}
ENDPOINTS: dict[str, str] = {
    "/v1/organization/costs": "costs",
    "/v1/organization/projects": "projects",
    "/v1/usage": "legacy_usage",
    **USAGE_PATHS,
}


def bearer(authorization: str | None) -> str | None:
    """The token of an ``Authorization: Bearer …`` header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class PublicApi:
    """The endpoints below ``/v1``: an admin key's, and the legacy one of ordinary keys."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/v1/organization/costs", self._costs),
            Route("/v1/organization/projects", self._projects),
            *(Route(path, self._usage) for path in USAGE_PATHS),
            Route("/v1/usage", self._legacy_usage),
        ]

    def _authorized(self, request: Request, scope: Scope) -> Organization:
        key = bearer(request.headers.get("authorization"))
        if key is None:
            raise no_key()
        access = self._simulation.access(key)
        if access is None and key.startswith("sk-proj-"):
            raise missing_scope(scope, 401)  # a valid project key is no admin key
        if access is None:
            raise wrong_key(key)
        if scope not in access.scopes:
            raise missing_scope(scope, access.refusal_status)
        return access.organization

    async def _costs(self, request: Request) -> Response:
        simulation = self._simulation
        organization = self._authorized(request, "api.usage.read")
        query = parse_costs_query(
            request.query_params.multi_items(),
            now=simulation.clock.now(),
            clamp=simulation.buckets.wire.clamp_limit_to_31,
            bound_to=organization.simulated.id,
        )
        buckets = [self._bucket(organization, query, day) for day in query.days]
        return self._page(request, query, buckets)

    async def _usage(self, request: Request) -> Response:
        simulation = self._simulation
        organization = self._authorized(request, "api.usage.read")
        endpoint = USAGE_PATHS[request.url.path]
        query = parse_usage_query(
            request.query_params.multi_items(),
            endpoint,
            now=simulation.clock.now(),
            bound_to=organization.simulated.id,
        )
        gap = organization.gaps.answer(endpoint, query.first, query.end)
        if gap is not None and gap.cause == "refused_endpoint":
            message = f"Usage of {endpoint} is not available for this organization."
            raise RefusalError(gap.status, message)
        wire = simulation.buckets.wire
        buckets = [
            simulation.usage_buckets.bucket(organization, endpoint, query, day, wire)
            for day in query.days
        ]
        return self._page(request, query, buckets)

    async def _legacy_usage(self, request: Request) -> Response:
        simulation = self._simulation
        key = bearer(request.headers.get("authorization"))
        if key is None:
            raise no_key()
        access = simulation.project_access(key)
        if access is None and simulation.access(key) is not None:
            raise no_project_key()
        if access is None:
            raise wrong_key(key)
        simulation.calls_of_keys.count(key)
        day = parse_legacy_query(
            request.query_params.multi_items(), today=simulation.clock.now().date()
        )
        hours = simulation.hours(day)
        return JSONResponse(
            legacy_answer(
                access.organization, access.project_id, day, hours, simulation.buckets.wire
            )
        )

    def _page(self, request: Request, query: BucketQuery, buckets: list[bytes]) -> Response:
        request.state.own_token = query.token(query.first)
        last = self._simulation.buckets.wire.end_of_pages
        more, token = "false", "null" if last == "null" else '""'
        if query.has_more:
            more = "true"
            token = json.dumps(query.token(query.days[-1] + timedelta(days=1)))
        tail = f'],"has_more":{more},"next_page":{token}}}'.encode()
        return Response(
            b"".join((b'{"object":"page","data":[', b",".join(buckets), tail)),
            media_type="application/json",
        )

    def _bucket(self, organization: Organization, query: BucketQuery, day: date) -> bytes:
        buckets = self._simulation.buckets
        hours = self._simulation.hours(day)
        if not query.only:
            return buckets.bucket(organization, day, hours, query.dimensions)
        rows = selected(organization.rows(day, hours), query.only)
        return buckets.render(organization, day, grouped(rows, query.dimensions), query.dimensions)

    async def _projects(self, request: Request) -> JSONResponse:
        organization = self._authorized(request, "api.management.read")
        parameters = request.query_params
        limit = parameters.get("limit", str(DEFAULT_PROJECTS))
        if not limit.isdecimal() or not 1 <= int(limit) <= MAX_PROJECTS:
            raise bad_parameter("limit", f"'limit' must be between 1 and {MAX_PROJECTS}.")
        today = self._simulation.clock.now().date()
        everything = parameters.get("include_archived", "false").lower() == "true"
        projects = [
            project
            for project in organization.simulated.projects
            if project.created_on <= today and (everything or not _is_archived(project, today))
        ]
        if (after := parameters.get("after")) is not None:
            ids = [project.id for project in projects]
            if after not in ids:
                raise bad_parameter("after", f"No project found with id '{after}'.")
            projects = projects[ids.index(after) + 1 :]
        page = [_project(project, today) for project in projects[: int(limit)]]
        return JSONResponse(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(projects) > len(page),
            }
        )


async def refused(_: Request, refusal: Exception) -> Response:
    """Turn a refusal into the API's envelope."""
    if not isinstance(refusal, RefusalError):
        raise refusal
    return refusal.response()


async def not_found(request: Request, _: Exception) -> Response:
    """A path or method that the API does not have."""
    message = f"Invalid URL ({request.method} {request.url.path})"
    return RefusalError(404, message).response()


def _is_archived(project: SimulatedProject, today: date) -> bool:
    return project.archived_on is not None and project.archived_on <= today


def _project(project: SimulatedProject, today: date) -> dict[str, Any]:
    archived = _is_archived(project, today)
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": calendar.timegm(project.created_on.timetuple()),
        "archived_at": calendar.timegm(project.archived_on.timetuple())
        if project.archived_on is not None and archived
        else None,
        "status": "archived" if archived else "active",
    }
