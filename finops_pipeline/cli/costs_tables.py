"""Costs as people read them: to the cent, with what is provisional or missing marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import typer

from finops_pipeline.cli.output import as_text, decimal_text, print_table

Row = Mapping[str, object]

FIGURES = ("yesterday", "this_week", "month_to_date", "previous_month")
_CENT = Decimal("0.01")
_DIGITS = 60
"""More than any sum of amounts of 38 digits has; Python's own 28 would round."""


def print_summary(rows: Sequence[Row]) -> None:
    """Print rows of ``rpt_cost_summary`` with the teams' names; provisional and missing marked."""
    heads = [f"yesterday ({rows[0]['as_of_date']})", *FIGURES[1:]]
    cells = []
    for row in rows:
        figures = [figure(row[name]) for name in FIGURES]
        if row["yesterday"] is not None and not row["yesterday_is_settled"]:
            figures[0] += "*"
        cells.append(
            [as_text(row["team_id"]), as_text(row["team_name"]), *figures, str(row["currency"])]
        )
    print_table("Costs", ["team_id", "team_name", *heads, "currency"], cells, right=heads)
    if any(row["yesterday"] is not None and not row["yesterday_is_settled"] for row in rows):
        typer.echo("* Provisional: OpenAI may still change that day.")
    if any(row[figure] is None for row in rows for figure in FIGURES):
        typer.echo(
            "— A day of that period is missing, so there is no figure; rpt_collection_status "
            "names it, and `finops run` reads it."
        )


def known_at(as_of: datetime | None) -> str:
    """What to say behind a range of days whose figures are those of an earlier moment (UTC)."""
    return "" if as_of is None else f", as known at {as_of:%Y-%m-%d %H:%M:%S} UTC"


def print_daily(
    rows: Sequence[Row],
    grain: Sequence[str],
    days: tuple[date, date],
    *,
    as_of: datetime | None = None,
) -> None:
    """Print the costs of days, at the grain of these columns, and a total for each currency."""
    totals: dict[str, Decimal] = {}
    settled: dict[str, bool] = {}
    for row in rows:
        currency, cost = str(row["currency"]), row["cost"]
        assert isinstance(cost, Decimal)
        with localcontext(prec=_DIGITS):
            totals[currency] = totals.get(currency, Decimal(0)) + cost
        settled[currency] = settled.get(currency, True) and bool(row["is_settled"])
    names = [column for column in grain if column != "currency"]
    print_table(
        f"Costs from {days[0]} to {days[1]} (UTC){known_at(as_of)}",
        [*names, "cost", "currency", ""],
        [
            [
                *(as_text(row[name]) for name in names),
                figure(row["cost"]),
                str(row["currency"]),
                _state(bool(row["is_settled"])),
            ]
            for row in rows
        ],
        right=("cost",),
        totals=[
            ["Total", *[""] * (len(names) - 1), figure(total), currency, _state(settled[currency])]
            for currency, total in sorted(totals.items())
        ],
    )


def _state(is_settled: bool) -> str:
    return "" if is_settled else "provisional"


def figure(value: object) -> str:
    """An amount to the cent (half-even), in full where that would be nothing; none as a dash."""
    if not isinstance(value, Decimal):
        return "—"
    with localcontext(prec=_DIGITS):
        cents = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    return f"{cents:,f}" if cents or not value else decimal_text(value)
