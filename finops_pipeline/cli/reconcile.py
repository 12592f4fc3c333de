"""`finops reconcile`: what was billed beside what was used, and what the difference consists of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Annotated

import typer

from finops_pipeline.cli.costs_tables import figure
from finops_pipeline.cli.days import parse_day
from finops_pipeline.cli.output import JsonOption, as_text, emit_one, print_table
from finops_pipeline.cli.published import Build, Row, check_known, fetched, published
from finops_pipeline.errors import UsageError

SHOWN_DAYS = 14
"""Days that are shown unless told otherwise."""

SHOWN_WORST = 10
"""Project-days outside the tolerance that are shown, as in the checks of the build."""

_DIGITS = 60
_WORST_FIRST = ("discrepancy", "pending", "not_comparable", "explained", "matched")
_PARTS = (
    "non_token_cost",
    "unpriced_cost",
    "rate_difference",
    "quantity_difference",
    "unexplained",
    "absolute_unexplained",
)
_UNEXPLAINED = "Unexplained: "
_CAUSES = {
    "non_token_cost": "Tools, storage and sessions",
    "unpriced_model": "Models without a list price",
    "batch_rate": "Batch rate",
    "flex_rate": "Flex rate",
    "priority_rate": "Priority rate",
    "long_context_rate": "Long-context rate",
    "override_rate": "Agreed rate",
    "complimentary_tokens": "Complimentary tokens",
    "moved_across_midnight": "Moved across midnight",
    "endpoint_without_rows": "Endpoint that told nothing",
    "unknown_rate": f"{_UNEXPLAINED}a rate in no list",
    "billed_without_usage": f"{_UNEXPLAINED}billed without usage",
    "used_without_bill": f"{_UNEXPLAINED}used without a bill",
    "no_quantity": f"{_UNEXPLAINED}billed without a quantity",
    "unknown_line_item": f"{_UNEXPLAINED}line items of unknown form",
    "no_line_item": f"{_UNEXPLAINED}billed without a line item",
    "rounding": "Rounding",
}

_PROJECTS = f"""
SELECT team_id, project_id, currency, sum(costs_v1) AS costs_v1, sum(usage_v1) AS usage_v1,
  sum(difference) AS difference, {", ".join(f"sum({part}) AS {part}" for part in _PARTS)},
  {", ".join(f"count(*) FILTER (WHERE status = '{s}') AS {s}_days" for s in _WORST_FIRST)},
  coalesce(sum(costs_v1) FILTER (WHERE status = 'matched'), 0) AS matched_cost,
  coalesce(sum(costs_v1) FILTER (WHERE status = 'explained'), 0) AS explained_cost
FROM fct_reconciliation
WHERE cost_date BETWEEN $first AND $last AND ($team IS NULL OR team_id = $team)
GROUP BY ALL
ORDER BY sum(absolute_unexplained) DESC NULLS LAST, team_id, project_id, currency
"""

_WORST = """
SELECT days.cost_date, days.team_id, days.project_id, days.openai_project_id, days.costs_v1,
  days.usage_v1, days.difference, days.unexplained, days.absolute_unexplained,
  arg_max(parts.cause, parts.absolute_amount) AS cause,
  arg_max(parts.item, parts.absolute_amount) AS item
FROM fct_reconciliation AS days
INNER JOIN fct_reconciliation_parts AS parts
  ON parts.cost_date = days.cost_date AND parts.organization_id = days.organization_id
  AND parts.openai_project_id IS NOT DISTINCT FROM days.openai_project_id
WHERE days.status = 'discrepancy' AND parts.part = 'unexplained'
  AND days.cost_date BETWEEN $first AND $last AND ($team IS NULL OR days.team_id = $team)
GROUP BY ALL
ORDER BY days.absolute_unexplained DESC, days.cost_date, days.project_id
"""

_STEPS = """
SELECT parts.part, parts.cause, -sum(parts.amount) AS amount
FROM fct_reconciliation_parts AS parts
INNER JOIN fct_reconciliation AS days
  ON parts.cost_date = days.cost_date AND parts.organization_id = days.organization_id
  AND parts.openai_project_id IS NOT DISTINCT FROM days.openai_project_id
WHERE days.difference IS NOT NULL AND days.cost_date BETWEEN $first AND $last
  AND ($team IS NULL OR days.team_id = $team)
GROUP BY parts.part, parts.cause
ORDER BY parts.part = 'unexplained', abs(sum(parts.amount)) DESC, parts.cause
"""


def reconcile(
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DATE", help=f"First day (UTC); else {SHOWN_DAYS} days are shown."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="DATE", help="Last day (UTC); else the newest complete one."),
    ] = None,
    team: Annotated[str | None, typer.Option("--team", help="Only this team's id.")] = None,
    json: JsonOption = False,
) -> None:
    """Show how far the bill and usage at list price agree, and why they do not."""
    first = None if start is None else parse_day(start, "--from")
    last = None if end is None else parse_day(end, "--to")
    with published() as connection:
        build = Build.read(connection)
        days = _days(first, last, build)
        check_known(connection, team, "team")
        parameters = {"first": days[0], "last": days[1], "team": team}
        projects, worst, steps = (
            fetched(connection, query, parameters) for query in (_PROJECTS, _WORST, _STEPS)
        )
    if json:
        answer = {
            "from": days[0],
            "to": days[1],
            "projects": [dict(row) for row in projects],
            "worst": [dict(row) for row in worst],
            "waterfall": [dict(row) for row in steps],
        }
        # Nested values are written as on the top level.
        emit_one(answer, list(answer), json=True, sentence="")
    elif projects:
        _print_projects(projects, days)
        _print_worst(worst)
        _print_waterfall(projects, steps, team)
    else:
        typer.echo(f"Nothing was billed or used from {days[0]} to {days[1]}.")
    typer.echo(build.as_of(), err=json)


def _days(first: date | None, last: date | None, build: Build) -> tuple[date, date]:
    if last is None:
        last = build.newest_complete_date or build.last_day
    if first is None:
        first = last - timedelta(days=SHOWN_DAYS - 1)
    if first > last:
        raise UsageError(
            f"--from {first} lies after the last day, {last}.",
            "Begin earlier, or name the last day with --to.",
        )
    return first, last


def _print_projects(projects: Sequence[Row], days: tuple[date, date]) -> None:
    figures = ("costs_v1", "usage_v1", "absolute_unexplained")
    heads = ["billed", "list price", "unexplained"]
    print_table(
        f"Reconciliation from {days[0]} to {days[1]} (UTC)",
        ["team / project", *heads, "worst days"],
        [
            [
                _whose(row),
                *(_amount(row, name) for name in figures),
                _status(row),
            ]
            for row in projects
        ],
        right=heads,
        totals=[["Total in USD", *(figure(_total(projects, name)) for name in figures), ""]],
    )
    if billed := _total(projects, "costs_v1"):
        covered = ("matched_cost", "explained_cost")
        matched, explained = (_total(projects, name) / billed for name in covered)
        typer.echo(
            f"Billed in USD: {matched:.1%} matched, {explained:.1%} explained, "
            f"{1 - matched - explained:.1%} open or not settled."
        )


def _print_worst(worst: Sequence[Row]) -> None:
    if not worst:
        typer.echo("No settled day of a project is outside the tolerance without an explanation.")
        return
    shown = worst[:SHOWN_WORST]
    print_table(
        f"Outside the tolerance and not explained: {len(shown)} of {len(worst)} days of projects",
        ["day", "team / project", "billed", "unexplained", "most of it"],
        [
            [
                str(row["cost_date"]),
                _whose(row),
                figure(row["costs_v1"]),
                figure(row["absolute_unexplained"]),
                _CAUSES[str(row["cause"])].removeprefix(_UNEXPLAINED),
            ]
            for row in shown
        ],
        right=["billed", "unexplained"],
    )


def _whose(row: Row) -> str:
    return f"{as_text(row['team_id'])} / {as_text(row['project_id'])}"


def _amount(row: Row, name: str) -> str:
    currency = str(row["currency"])
    return figure(row[name]) + ("" if currency == "USD" or row[name] is None else f" {currency}")


def _status(row: Row) -> str:
    """The worst status, and on how many of the days: ``2/14 discrepancy``."""
    counts = [(int(str(row[f"{status}_days"])), status) for status in _WORST_FIRST]
    days, worst = next((days, status) for days, status in counts if days)
    return f"{days}/{sum(days for days, _ in counts)} {worst.replace('_', ' ')}"


def _print_waterfall(projects: Sequence[Row], steps: Sequence[Row], team: str | None) -> None:
    compared = [row for row in projects if row["usage_v1"] is not None]
    if not compared:
        typer.echo("Nothing of it is in USD, so that nothing can be compared.")
        return
    shown = [row for row in steps if figure(row["amount"]) != "0.00" and row["cause"] != "rounding"]
    print_table(
        f"From bill to usage{'' if team is None else f', team {as_text(team)}'} (USD)",
        ["", "amount"],
        [
            ["Billed (costs_v1)", figure(_total(compared, "costs_v1"))],
            *([_CAUSES[str(row["cause"])], figure(row["amount"])] for row in shown),
        ],
        right=["amount"],
        totals=[["Used, at list price (usage_v1)", figure(_total(compared, "usage_v1"))]],
    )


def _total(rows: Sequence[Row], name: str) -> Decimal:
    """The sum in USD."""
    values = [row[name] for row in rows if row["currency"] == "USD"]
    with localcontext(prec=_DIGITS):
        return sum((value for value in values if isinstance(value, Decimal)), Decimal(0))
