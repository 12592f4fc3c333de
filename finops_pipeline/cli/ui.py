"""`finops ui`: Dagster's web interface over the configured data, or the demonstration's."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from finops_pipeline.cli.demo import SCENARIO_FILE, demo_settings
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
        if not _is_configured(settings) and SCENARIO_FILE.exists():
            from finops_pipeline.simulator import SimulatedServer, load_scenario

            server = stack.enter_context(SimulatedServer(load_scenario(SCENARIO_FILE)))
            settings = demo_settings(server.base_url)
            typer.echo("No team is registered yet: showing the demonstration's data.", err=True)
        _dagster_dev(settings, port)


def _is_configured(settings: Settings) -> bool:
    return settings.registry_url is not None or settings.registry_path.exists()


def _dagster_dev(settings: Settings, port: int) -> None:
    from finops_pipeline.orchestration.instance import open_instance

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    open_instance(settings)
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
        ],
        # Away from any .env: the settings travel in the environment, complete.
        cwd=settings.data_dir,
        env=os.environ | _as_environment(settings),
    )
    try:
        child.wait()
    except KeyboardInterrupt:
        child.wait()
    if child.returncode not in (0, -2):
        raise typer.Exit(1)


def _as_environment(settings: Settings) -> dict[str, str]:
    values = settings.model_dump()
    url = settings.registry_url
    return {
        variable_of(name): str(value)
        for name, value in values.items()
        if name != "registry_url" and value is not None
    } | ({"FINOPS_REGISTRY_URL": url.get_secret_value()} if url else {})
