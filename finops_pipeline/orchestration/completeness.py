"""Whether every expected (team, endpoint, day) was read, by the ledger; a check of raw data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import dagster as dg

from finops_pipeline.errors import UsageError
from finops_pipeline.ingestion.days import ranges
from finops_pipeline.ingestion.gaps import Gap, find_gaps
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.registry import Registry
from finops_pipeline.warehouse.warehouse import Warehouse

EVERY_DAY = "every_day_collected"
EVERY_DAY_DESCRIPTION = """\
Every active team with a key was read for every day from its first requested day to yesterday.

Looks at the whole ledger, not at one run. A warning while gaps are being tried again; an error
once five tries in a row have failed, after which somebody has to look.
"""
TRIES = 5
"""After so many failed tries in a row nothing is asked for by itself any more."""


def current_gaps(
    pipeline: Pipeline, warehouse: Warehouse, registry: Registry, endpoints: Sequence[str]
) -> list[Gap]:
    """The gaps at some endpoints of all teams that can be read at present.

    Raises:
        FinopsError: the warehouse is held for too long.
    """
    try:
        teams = registry.collectable_teams(None)
    except UsageError:  # every team was deactivated
        return []
    return find_gaps(
        warehouse,
        endpoints=endpoints,
        keys={team.team_id: team.key.key_id for team in teams if team.key is not None},
        first_day=pipeline.settings.start_date,
        now=pipeline.now(),
    )


def verdict(gaps: Sequence[Gap]) -> dict[str, Any]:
    """The check's result: passed, severity, description and metadata."""
    given_up = [gap for gap in gaps if len(gap.tries) >= TRIES]
    if not gaps:
        text = "Nothing is missing."
    else:
        teams = sorted({gap.team_id for gap in given_up or gaps})
        text = (
            f"{len(given_up)} buckets failed {TRIES} times and are given up"
            if given_up
            else f"{len(gaps)} buckets are missing or failed"
        ) + f", of {', '.join(teams)}. The newest error: {_newest_error(given_up or gaps)}"
    return {
        "passed": not gaps,
        "severity": (dg.AssetCheckSeverity.ERROR if given_up else dg.AssetCheckSeverity.WARN),
        "description": text,
        "metadata": {"gaps": _table(gaps)} if gaps else {},
    }


def _newest_error(gaps: Sequence[Gap]) -> str:
    failed = [gap for gap in gaps if gap.error is not None]
    if not failed:
        return "none, these days were never asked for."
    return str(max(failed, key=lambda gap: (gap.tried_at is not None, gap.tried_at)).error)


def _kind(gap: Gap) -> tuple[str, str, int, str]:
    return gap.team_id, gap.endpoint, len(gap.tries), gap.error or ""


def _table(gaps: Sequence[Gap]) -> dg.TableMetadataValue:
    """One line per team, endpoint and contiguous days that failed equally often for one reason."""
    records = []
    for (team, endpoint, tries, error), alike in groupby(
        sorted(gaps, key=lambda gap: (*_kind(gap), gap.day)), key=_kind
    ):
        for first, last in ranges([gap.day for gap in alike]):
            records.append(
                dg.TableRecord(
                    {
                        "team_id": team,
                        "endpoint": endpoint,
                        "first_day": first.isoformat(),
                        "last_day": last.isoformat(),
                        "failed_tries": tries,
                        "given_up": tries >= TRIES,
                        "error": error or "never asked for",
                    }
                )
            )
    return dg.MetadataValue.table(
        records,
        schema=dg.TableSchema(
            [
                dg.TableColumn("team_id", "string"),
                dg.TableColumn("endpoint", "string"),
                dg.TableColumn("first_day", "string"),
                dg.TableColumn("last_day", "string"),
                dg.TableColumn("failed_tries", "int"),
                dg.TableColumn("given_up", "bool"),
                dg.TableColumn("error", "string"),
            ]
        ),
    )
