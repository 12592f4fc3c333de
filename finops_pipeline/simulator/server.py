"""The simulator as a server on loopback: in a thread for tests, blocking for the command line."""

from __future__ import annotations

import secrets
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator.api import PublicApi, not_found, refused
from finops_pipeline.simulator.connections import Connections
from finops_pipeline.simulator.control import ControlApi
from finops_pipeline.simulator.control_client import Control
from finops_pipeline.simulator.errors import RefusalError
from finops_pipeline.simulator.fault_layer import DateHeader, FaultLayer
from finops_pipeline.simulator.scenario import Scenario
from finops_pipeline.simulator.simulation import Simulation

HOST = "127.0.0.1"


class SimulatedServer:
    """A simulated company on 127.0.0.1, served while the context lasts.

    Args:
        scenario: What is simulated; the demonstration's company by default.
        port: 0 takes a free one.
        control_token: What the control endpoints ask for; a random one by default.
        prerender: Render all closed buckets before the first answer.

    Raises:
        UsageError: on entering, when the port is taken.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        port: int = 0,
        control_token: str | None = None,
        prerender: bool = False,
    ) -> None:
        self.scenario = scenario or Scenario.demo()
        self._port = port
        self._token = control_token or secrets.token_urlsafe(24)
        self._prerender = prerender
        self._simulation = Simulation(self.scenario)

    @property
    def base_url(self) -> str:
        """The address to give to a client in place of OpenAI's; ends in ``/v1``."""
        return f"http://{HOST}:{self._port}/v1"

    def __enter__(self) -> Self:
        listener = _listen(self._port)
        self._port = listener.getsockname()[1]
        if self._prerender:
            self._simulation.prerender()
        connections = Connections()
        self._server = uvicorn.Server(
            uvicorn.Config(
                _application(self._simulation, self._token, connections),
                http=connections.protocol(),
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                date_header=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        # Off the main thread uvicorn leaves the process's signal handlers alone. Connections made
        # before it accepts wait in the listener's queue, so nobody has to wait for its start.
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True
        )
        self._thread.start()
        self.control = Control(f"http://{HOST}:{self._port}", self._token)
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        self._server.should_exit = True
        self._thread.join()


def serve(
    scenario: Scenario,
    port: int,
    control_token: str,
    *,
    on_ready: Callable[[str], None],
    prerender: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; must be called on the main thread.

    Args:
        scenario: What is simulated.
        port: 0 takes a free one.
        control_token: What the control endpoints ask for.
        on_ready: Receives the base URL once it answers.
        prerender: Render all closed buckets first.

    Raises:
        UsageError: the port is taken.
    """
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    server = SimulatedServer(scenario, port=port, control_token=control_token, prerender=prerender)
    with server:
        signals = (signal.SIGINT, signal.SIGTERM)
        earlier = {number: signal.signal(number, stop) for number in signals}
        try:
            on_ready(server.base_url)
            # Where a signal reaches another thread, its handler runs once this one wakes up.
            while not stopped.wait(timeout=0.5):
                pass
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=2048)
    except OSError:
        raise UsageError(
            f"Port {port} on {HOST} cannot be used; something else may listen there.",
            "Choose another port, or 0 for any free one.",
        ) from None


def _application(simulation: Simulation, token: str, connections: Connections) -> ASGIApp:
    application = Starlette(
        routes=[*PublicApi(simulation).routes(), *ControlApi(simulation, token).routes()],
        exception_handlers={RefusalError: refused, 404: not_found, 405: not_found},
    )
    return DateHeader(FaultLayer(application, simulation, connections), simulation)
