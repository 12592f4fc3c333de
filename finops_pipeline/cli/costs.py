"""`finops costs`: what the published marts say about money, for people and as JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.costs_tables import known_at, print_daily, print_summary
from finops_pipeline.cli.days import parse_day
from finops_pipeline.cli.output import JsonOption, emit, warn
from finops_pipeline.cli.published import Build, check_known, fetched, published
from finops_pipeline.errors import UsageError

if TYPE_CHECKING:
    import duckdb

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Show what was spent, from the published marts.",
)

SHOWN_DAYS = 14
"""Days of ``costs daily`` unless told otherwise."""

_SUMMARY = (
    "team_id",
    "team_name",
    "currency",
    "as_of_date",
    "latest_complete_date",
    "yesterday",
    "yesterday_is_settled",
    "this_week",
    "month_to_date",
    "previous_month",
)
Team = Annotated[str | None, typer.Option("--team", help="Only this team's id.")]


class By(StrEnum):
    """What a day's cost is divided by."""

    TEAM = "team"
    PROJECT = "project"


@app.command("summary")
def summary(team: Team = None, json: JsonOption = False) -> None:
    """Show what each team spent yesterday, this week, this month and last month (UTC)."""
    with published() as connection:
        build = Build.read(connection)
        check_known(connection, team, "team")
        rows = fetched(
            connection,
            f"""
            SELECT {", ".join(_SUMMARY)}
            FROM rpt_cost_summary
            LEFT JOIN dim_teams USING (team_id)
            WHERE $team IS NULL OR team_id = $team
            ORDER BY team_id = 'unallocated', team_id, currency
            """,
            {"team": team},
        )
    if json:
        emit(rows, _SUMMARY, json=True, title="")
    elif rows:
        print_summary(rows)
    else:
        typer.echo("No team is in the published marts.")
    typer.echo(build.as_of(), err=json)


@app.command("daily")
def daily(
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
    team: Team = None,
    project: Annotated[
        str | None, typer.Option("--project", help="Only this project's id.")
    ] = None,
    by: Annotated[
        By | None,
        typer.Option("--by", help="One row per day and team, or project. [default: team]"),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            help="Amounts as they were known at this time, as 2026-03-05T09:00Z; teams and "
            "projects as of today.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show the cost of each day."""
    first = None if start is None else parse_day(start, "--from")
    last = None if end is None else parse_day(end, "--to")
    moment = None if as_of is None else _moment(as_of)
    with published() as connection:
        build = Build.read(connection)
        days = _days(first, last, build, moment)
        check_known(connection, team, "team")
        check_known(connection, project, "project")
        by_project = by is By.PROJECT or (by is None and project is not None)
        grain = ["cost_date", "team_id", *(["project_id"] if by_project else []), "currency"]
        parameters: dict[str, object] = {
            "first": days[0],
            "last": days[1],
            "team": team,
            "project": project,
        }
        costs = "fct_project_daily_costs"
        if moment is not None:
            costs = "(FROM costs_as_of($as_of) WHERE is_reported)"
            parameters["as_of"] = moment
        rows = fetched(
            connection,
            f"""
            SELECT {", ".join(grain)}, sum(cost) AS cost, bool_and(is_settled) AS is_settled
            FROM {costs}
            WHERE cost_date BETWEEN $first AND $last
                AND ($team IS NULL OR team_id = $team)
                AND ($project IS NULL OR project_id = $project)
            GROUP BY ALL
            ORDER BY ALL
            """,
            parameters,
        )
        unread = _unread_days(connection, days, moment)
        first_reading = None if moment is None else _first_reading(connection)
    columns = [*grain, "cost", "is_settled"]
    if moment is not None:
        rows = [{**row, "as_of": moment} for row in rows]
        columns.append("as_of")
    if json:
        emit(rows, columns, json=True, title="")
    elif rows:
        print_daily(rows, grain, days, as_of=moment)
    else:
        typer.echo(f"No costs from {days[0]} to {days[1]}{known_at(moment)}.")
    if moment is not None and moment > build.built_at:
        warn(
            f"The marts were built at {build.built_at:%Y-%m-%d %H:%M:%S} UTC: what was read after "
            "that is not in them."
        )
    if moment is not None and (first_reading is None or moment < first_reading):
        which = (
            "none was made yet"
            if first_reading is None
            else f"the first was made at {first_reading}"
        )
        warn(f"No reading had been made by then; {which}.")
    elif unread and moment is not None:
        warn(f"{unread} had not been read by then, so that these days can show too little.")
    elif unread:
        warn(
            f"{unread} were never read successfully, so that these days can show too little; "
            f"`finops run --from {days[0]} --to {days[1]}` reads them."
        )
    if moment is not None:
        typer.echo(
            f"Amounts as known at {moment:%Y-%m-%d %H:%M:%S} UTC, attributed to teams and projects "
            "as of today.",
            err=json,
        )
    typer.echo(build.as_of(), err=json)


def _moment(text: str) -> datetime:
    """A moment in UTC, from ISO 8601 with a time zone."""
    example = "2026-03-05T09:00Z, or 2026-03-05T10:00+01:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of {text!r} is not a time.", f"Write it as {example}.") from None
    if moment.tzinfo is None:
        raise UsageError(f"--as-of {text!r} names no time zone.", f"Write it as {example}.")
    return moment.astimezone(UTC)


def _days(
    first: date | None, last: date | None, build: Build, as_of: datetime | None
) -> tuple[date, date]:
    if last is None:
        last = build.newest_complete_date or build.last_day
        what = "the newest complete day"
        if as_of is not None and as_of.date() <= last:
            last = as_of.date() - timedelta(days=1)
            what = "the day before --as-of"
        if first is not None and first > last:
            raise UsageError(
                f"--from {first} lies after {what}, {last}.",
                "Begin earlier, or name the last day with --to.",
            )
    if first is None:
        first = last - timedelta(days=SHOWN_DAYS - 1)
    if first > last:
        raise UsageError(f"--from {first} lies after --to {last}.", "Exchange the two dates.")
    return first, last


def _first_reading(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    ((first,),) = connection.execute(
        "SELECT min(collected_at) FROM rpt_collections WHERE endpoint = 'costs' AND status = 'ok'"
    ).fetchall()
    return None if first is None else first.astimezone(UTC)


def _unread_days(
    connection: duckdb.DuckDBPyConnection, days: tuple[date, date], as_of: datetime | None
) -> str:
    """The days of which some team's bucket was never read, or not by then; empty: none.

    All teams count, also where one is asked for: its projects can be in any organization.
    """
    never_read = "last_ok_at IS NULL"
    parameters: dict[str, object] = {"first": days[0], "last": days[1]}
    if as_of is not None:
        never_read = """(cost_date, team_id) NOT IN (
            SELECT (cost_date, team_id) FROM rpt_collections
            WHERE endpoint = 'costs' AND status = 'ok' AND collected_at <= $as_of
        )"""
        parameters["as_of"] = as_of
    unread = fetched(
        connection,
        f"""
        SELECT cost_date, string_agg(team_id, ', ' ORDER BY team_id) AS teams
        FROM rpt_collection_status
        WHERE endpoint = 'costs' AND {never_read} AND status <> 'unsupported'
            AND cost_date BETWEEN $first AND $last
        GROUP BY cost_date
        ORDER BY cost_date
        """,
        parameters,
    )
    named = [f"{row['cost_date']} ({row['teams']})" for row in unread[:3]]
    more = [f"{len(unread) - 3} more days"] if len(unread) > 3 else []
    return ", ".join(named + more)
