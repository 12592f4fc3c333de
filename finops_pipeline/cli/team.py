"""`finops team`: who spends, and who answers for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from finops_pipeline.cli.days import EffectiveOption, optional_day
from finops_pipeline.cli.opened import OnBehalfOfOption, has_registry, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one
from finops_pipeline.errors import UsageError
from finops_pipeline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Register teams and change what is known of them.")

COLUMNS = (
    "team_id",
    "team_name",
    "parent_team_id",
    "owner_email",
    "budget_owner_email",
    "cost_center",
    "is_active",
    "created_at",
    "updated_at",
    "deactivated_at",
)
TABLE_COLUMNS = (
    "team_id",
    "team_name",
    "parent_team_id",
    "owner_email",
    "cost_center",
    "is_active",
)

TeamId = Annotated[str, typer.Argument(metavar="ID", help="The team's id.")]
Name = Annotated[str | None, typer.Option("--name", help="The name that people read.")]
Owner = Annotated[str | None, typer.Option("--owner-email", help="Who answers for the spend.")]
BudgetOwner = Annotated[
    str | None, typer.Option("--budget-owner-email", help="Who answers for the budget.")
]
CostCenter = Annotated[str | None, typer.Option("--cost-center", help="Where it is charged.")]
Parent = Annotated[str | None, typer.Option("--parent-team", help="The team above, by its id.")]


@app.command("add")
def add(
    team_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Lower-case letters, digits, '-' and '_'; for good."),
    ],
    name: Name = None,
    owner_email: Owner = None,
    budget_owner_email: BudgetOwner = None,
    cost_center: CostCenter = None,
    parent_team: Parent = None,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Register a team."""
    with opened_registry(create=True, on_behalf_of=on_behalf_of) as registry:
        team = registry.add_team(
            team_id,
            team_name=name,
            parent_team_id=parent_team,
            owner_email=owner_email,
            budget_owner_email=budget_owner_email,
            cost_center=cost_center,
        )
    emit_one(asdict(team), COLUMNS, json=json, sentence=f"Team {team_id} is registered.")


@app.command("list")
def list_teams(json: JsonOption = False) -> None:
    """Show every team, deactivated ones too."""
    teams = []
    if has_registry(load_settings()):
        with opened_registry() as registry:
            teams = registry.list_teams()
    columns = COLUMNS if json else TABLE_COLUMNS
    emit([asdict(team) for team in teams], columns, json=json, title="Teams")


@app.command("set")
def change(
    team_id: TeamId,
    name: Name = None,
    owner_email: Owner = None,
    budget_owner_email: BudgetOwner = None,
    cost_center: CostCenter = None,
    parent_team: Parent = None,
    effective: EffectiveOption = None,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Change a team; an empty text ("") clears a value."""
    changes = {
        "team_name": name,
        "parent_team_id": parent_team,
        "owner_email": owner_email,
        "budget_owner_email": budget_owner_email,
        "cost_center": cost_center,
    }
    if all(value is None for value in changes.values()):
        raise UsageError("Nothing to change was given.", "`finops team set --help` lists it all.")
    from_day = optional_day(effective, "--effective")
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        team = registry.set_team(team_id, **changes, effective=from_day)
    when = "" if from_day is None else f" from {from_day} on"
    emit_one(asdict(team), COLUMNS, json=json, sentence=f"Team {team_id} is changed{when}.")


@app.command("deactivate")
def deactivate(
    team_id: TeamId, on_behalf_of: OnBehalfOfOption = None, json: JsonOption = False
) -> None:
    """End a team: it is no longer collected; what was collected stays."""
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        team = registry.deactivate_team(team_id)
    emit_one(asdict(team), COLUMNS, json=json, sentence=f"Team {team_id} is deactivated.")
