"""`finops simulate`: the simulated OpenAI organization alone."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
    scenario: Annotated[
        Path | None, typer.Option(help="YAML or JSON file; the demonstration's company if unset.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print address and control token as JSON.")
    ] = False,
) -> None:
    """Serve a simulated OpenAI organization on 127.0.0.1 until interrupted."""
    from finops_pipeline.simulator import Scenario, load_scenario, serve

    company = load_scenario(scenario) if scenario else Scenario.demo()
    token = secrets.token_urlsafe(24)

    def say(base_url: str) -> None:
        if as_json:
            typer.echo(json.dumps({"base_url": base_url, "control_token": token}))
            return
        typer.echo(f"Simulated OpenAI at {base_url}; stop it with Ctrl-C.")
        typer.echo(f"Use it:         export FINOPS_OPENAI_BASE_URL={base_url}")
        typer.echo(f"Control token:  {token}")
        for team in company.registration.teams:
            typer.echo(f"Admin key of {team.team_id}: {team.admin_key}")

    serve(company, port, token, on_ready=say)
