"""The layer around the public endpoints that records calls and lets planted faults happen."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from http import HTTPStatus

import msgspec
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from finops_pipeline.simulator.api import ENDPOINTS, bearer
from finops_pipeline.simulator.connections import Connections
from finops_pipeline.simulator.errors import RefusalError
from finops_pipeline.simulator.faults import Fault
from finops_pipeline.simulator.simulation import RecordedRequest, Simulation

_GARBAGE = b"<html><head><title>502 Bad Gateway</title></head><body>\xff\xfe</body></html>"


class DateHeader:
    """Dates every answer by the simulator's clock, since clients trust that header."""

    def __init__(self, app: ASGIApp, simulation: Simulation) -> None:
        self._app = app
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self._simulation.clock.now(), usegmt=True)
                message["headers"] = [*message.get("headers", ()), (b"date", now.encode())]
            await send(message)

        await self._app(scope, receive, dated)


class FaultLayer:
    """Records each call of the public API and lets at most one planted fault befall it."""

    def __init__(self, app: ASGIApp, simulation: Simulation, connections: Connections) -> None:
        self._app = app
        self._simulation = simulation
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        key = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        access = self._simulation.access(key) if key else None
        organization_id = access.organization.simulated.id if access else None
        path: str = scope["path"]
        fault = self._simulation.faults.next(key, organization_id, ENDPOINTS.get(path, path))
        status: int | None = None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if fault is None:
                await self._app(scope, receive, watched)
            else:
                await self._befall(fault, scope, receive, watched)
        finally:
            self._simulation.requests.append(
                RecordedRequest(
                    path=path,
                    query=scope["query_string"].decode("latin-1"),
                    last4=key[-4:] if key else None,
                    status=status,
                    fault=fault.kind if fault else None,
                )
            )

    async def _befall(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "drop":
            self._connections.abort(scope)
            await _until_disconnected(receive)
        elif fault.kind == "status":
            await _refusal(fault)(scope, receive, send)
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        else:
            start, body = await self._answer(scope, receive)
            if fault.kind == "drop_mid_body":
                await send(start)
                half = body[: len(body) // 2]
                await send({"type": "http.response.body", "body": half, "more_body": True})
                self._connections.close(scope)
                await _until_disconnected(receive)
                return
            body = _spoiled(fault, body, scope) if start["status"] == HTTPStatus.OK else body
            start["headers"] = [
                (name, str(len(body)).encode() if name == b"content-length" else value)
                for name, value in start["headers"]
            ]
            await send(start)
            await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def _refusal(fault: Fault) -> JSONResponse:
    response = RefusalError(
        fault.status, fault.message, code=fault.code, type="server_error"
    ).response()
    if fault.bare_error:
        response = JSONResponse({"error": fault.message}, status_code=fault.status)
    if fault.retry_after is not None:
        response.headers["retry-after"] = str(fault.retry_after)
    if fault.location is not None:
        response.headers["location"] = fault.location
    return response


def _spoiled(fault: Fault, body: bytes, scope: Scope) -> bytes:
    if fault.kind == "garbage":
        return _GARBAGE
    if fault.kind == "truncated":
        return body[: len(body) * 2 // 3]
    page = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if fault.kind == "missing_data":
        del page["data"]
    elif "next_page" in page:
        token = scope["state"]["own_token"] if fault.kind == "repeated_token" else None
        page["has_more"] = msgspec.Raw(b"true")
        page["next_page"] = msgspec.Raw(msgspec.json.encode(token))
    return msgspec.json.encode(page)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
