"""Open connections, so that a fault can cut one: an ASGI application cannot do that itself."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

Address = tuple[str, int]


class Connections:
    """The transports of all open connections by the client's address."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """A uvicorn protocol class that keeps this account of its connections."""
        opened = self._open

        class AccountedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                opened[_address(transport)] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                for address in [each for each in opened if opened[each] is self.transport]:
                    del opened[address]
                super().connection_lost(exc)

        return AccountedProtocol

    def abort(self, scope: Scope) -> None:
        """Cut the connection of a request at once; nothing more is sent."""
        self._open[cast("Address", tuple(scope["client"]))].abort()

    def close(self, scope: Scope) -> None:
        """Cut the connection of a request after what was already sent."""
        self._open[cast("Address", tuple(scope["client"]))].close()


def _address(transport: asyncio.Transport) -> Address:
    host, port = transport.get_extra_info("peername")[:2]
    return host, port
