"""dlt's ``rest_api`` source and its DuckDB destination, configured and otherwise as they come.

It gets the easy part of the job: rows without their day, one run, no ledger.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import dlt
import requests
from dlt.destinations import duckdb as duckdb_destination
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

from benchmarks.contenders.floor import unix
from benchmarks.contenders.task import GROUP_BY, ReadBack, Task, from_database


def collect(task: Task, folder: Path) -> ReadBack:
    """All pages of all teams in one run."""
    database = folder / "stock.duckdb"
    pipeline = dlt.pipeline(
        "stock",
        pipelines_dir=str(folder / "dlt"),
        destination=duckdb_destination(credentials=str(database)),
        dataset_name="raw",
    )
    config: RESTAPIConfig = {
        "client": {
            "base_url": task.base_url,
            "paginator": {"type": "cursor", "cursor_path": "next_page", "cursor_param": "page"},
        },
        "resources": [
            {
                "name": team_id,
                "table_name": "costs",
                "columns": {
                    "amount__value": {"data_type": "decimal", "precision": 38, "scale": 18}
                },
                "endpoint": {
                    "path": "organization/costs",
                    "params": {
                        "start_time": unix(task.start),
                        "end_time": unix(task.end),
                        "limit": task.buckets_per_page,
                        "group_by[]": list(GROUP_BY),
                    },
                    "headers": {"Authorization": f"Bearer {key}"},
                    "data_selector": "data[*].results[*]",
                    "response_actions": [with_exact_numbers],
                },
            }
            for team_id, key in task.keys.items()
        ],
    }
    pipeline.run(rest_api_source(config)).raise_on_failed_jobs()
    return from_database(database, "raw.costs", "amount__value")


def with_exact_numbers(response: requests.Response, *_: object, **__: object) -> None:
    """Amounts as Decimal: as they come they would be floats, and the sum would be another."""
    response.json = lambda **_: json.loads(response.content, parse_float=Decimal)  # type: ignore[method-assign]
