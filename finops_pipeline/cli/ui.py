"""`finops ui`: Dagster's web interface over the configured data, or the demonstration's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from finops_pipeline.cli.demo import ADDRESS_FILE, SCENARIO_FILE, demo_settings
from finops_pipeline.cli.opened import has_registry
from finops_pipeline.settings import Settings, load_settings, variable_of

_PROJECT_DIR = Path(__file__).parents[2]


def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open the Dagster UI on 127.0.0.1 until interrupted.

    It shows the configured data where a team is registered, else what `make demo` made, with the
    simulated OpenAI running beside it.
    """
    settings = load_settings()
    with ExitStack() as stack:
        if not has_registry(settings) and SCENARIO_FILE.exists():
            from finops_pipeline.simulator import SimulatedServer, load_scenario

            address = ADDRESS_FILE.read_text()
            scenario = load_scenario(SCENARIO_FILE)
            stack.enter_context(SimulatedServer(scenario, port=urlsplit(address).port or 0))
            settings = demo_settings(address, scenario)
            typer.echo("No team is registered yet: showing the demonstration's data.", err=True)
        _dagster_dev(settings, port)


def _dagster_dev(settings: Settings, port: int) -> None:
    from finops_pipeline.orchestration.instance import open_instance
    from finops_pipeline.warehouse import Warehouse

    Warehouse.from_settings(settings).ensure_folder()
    open_instance(settings)
    # A shell starts background commands with SIGINT ignored; dagster stops its parts with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    typer.echo(f"Dagster: http://127.0.0.1:{port} in a few seconds; stop it with Ctrl-C.", err=True)
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "--workspace",
            str(_PROJECT_DIR / "workspace.yaml"),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ],
        # Away from any .env: the settings travel in the environment, complete.
        cwd=settings.data_dir,
        env=os.environ | _as_environment(settings),
    )
    # Told to stop, it stops its daemon and webserver too; killed, it would leave them running.
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        with suppress(KeyboardInterrupt):
            child.wait()
    if child.returncode not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise typer.Exit(1)


def _as_environment(settings: Settings) -> dict[str, str]:
    values = settings.model_dump()
    url = settings.registry_url
    return {
        variable_of(name): str(value)
        for name, value in values.items()
        if name != "registry_url" and value is not None
    } | ({"FINOPS_REGISTRY_URL": url.get_secret_value()} if url else {})
