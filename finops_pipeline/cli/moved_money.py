"""What a move of a project would change: how much money of which months, for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from finops_pipeline import marts
from finops_pipeline.cli.output import emit, emit_one
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry.moves import Move

COLUMNS = ("month", "currency", "cost")

_MONTHS = """
    SELECT date_trunc('month', cost_date)::DATE AS month, currency, sum(cost)
    FROM fct_project_daily_costs
    WHERE openai_project_id = $project
        AND cost_date >= $effective
        AND ($until IS NULL OR cost_date < $until)
    GROUP BY ALL
    ORDER BY ALL
"""


def move_sentence(move: Move) -> str:
    """Whose the project is from when."""
    until = "" if move.until is None else f" until before {move.until}"
    return (
        f"Project {move.project_id} belongs to team {move.to_team_id} from {move.effective}{until},"
        f" no longer to team {move.from_team_id}."
    )


def show_moved_money(move: Move, *, json: bool) -> None:
    """Print the published costs of the days that the move is about, by month and currency.

    Raises:
        FinopsError: the published marts cannot be read.
    """
    published = load_settings().marts_path.exists()
    months = _months(move) if published else []
    values = asdict(move) | {"published": published, "months": months}
    if json:
        emit_one(values, tuple(values), json=True, sentence="")
        return
    typer.echo(f"Nothing is changed. With the move: {move_sentence(move)}")
    if months:
        emit(months, COLUMNS, json=False, title=f"Money that would go to team {move.to_team_id}")
    elif published:
        typer.echo("No published cost lies in these days, so no figure would change.")
    else:
        typer.echo("No marts are published yet, so it cannot be said how much money that is.")


def _months(move: Move) -> Sequence[dict[str, date | str | Decimal]]:
    parameters = {
        "project": move.openai_project_id,
        "effective": move.effective,
        "until": move.until,
    }
    with marts.connect(load_settings().marts_path) as connection:
        rows = connection.execute(_MONTHS, parameters).fetchall()
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
