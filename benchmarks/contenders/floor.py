"""The floor: the least that gets exact costs into DuckDB, one team after the other.

httpx, msgspec, Arrow, DuckDB. No ledger, no retries, no checks of what the server says.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from pathlib import Path

import duckdb
import httpx
import msgspec
import pyarrow as pa
from msgspec import Struct

from benchmarks.contenders.task import GROUP_BY, ReadBack, Task, from_database

MONEY = pa.decimal128(38, 18)
QUANTITY = pa.decimal128(28, 6)
TEXTS = (
    "organization_id",
    "organization_name",
    "project_id",
    "project_name",
    "api_key_id",
    "line_item",
    "quantity_unit",
)


class Amount(Struct, gc=False):
    value: Decimal
    currency: str


class Result(Struct, gc=False):
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: Decimal | None = None
    quantity_unit: str | None = None
    organization_id: str | None = None
    organization_name: str | None = None
    project_name: str | None = None


class Bucket(Struct):
    start_time: int
    results: list[Result]


class Page(Struct):
    data: list[Bucket]
    has_more: bool
    next_page: str | None = None


def collect(task: Task, folder: Path) -> ReadBack:
    """All pages of all teams, each inserted as it comes."""
    database = folder / "floor.duckdb"
    decoder = msgspec.json.Decoder(Page)
    with duckdb.connect(str(database)) as connection, httpx.Client(timeout=60) as http:
        connection.execute(
            "CREATE TABLE costs (team_id TEXT, cost_date DATE, organization_id TEXT, "
            "organization_name TEXT, project_id TEXT, project_name TEXT, api_key_id TEXT, "
            "line_item TEXT, amount DECIMAL(38, 18), currency TEXT, quantity DECIMAL(28, 6), "
            "quantity_unit TEXT)"
        )
        for team_id, key in task.keys.items():
            params = httpx.QueryParams(
                [
                    ("start_time", unix(task.start)),
                    ("end_time", unix(task.end)),
                    ("limit", task.buckets_per_page),
                    *(("group_by[]", name) for name in GROUP_BY),
                ]
            )
            token: str | None = ""
            while token is not None:
                answer = http.get(
                    f"{task.base_url}/organization/costs",
                    params=params.set("page", token) if token else params,
                    headers={"Authorization": f"Bearer {key}"},
                )
                page = decoder.decode(answer.raise_for_status().content)
                connection.register("page", as_table(team_id, page))
                connection.execute("INSERT INTO costs BY NAME SELECT * FROM page")
                connection.unregister("page")
                token = page.next_page if page.has_more else None
    return from_database(database, "costs")


def as_table(team_id: str, page: Page) -> pa.Table:
    rows = [row for bucket in page.data for row in bucket.results]
    days = [day(bucket.start_time) for bucket in page.data for _ in bucket.results]
    return pa.table(
        {
            "team_id": pa.repeat(team_id, len(rows)),
            "cost_date": pa.array(days, pa.date32()),
            **{name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in TEXTS},
            "amount": decimals([row.amount.value for row in rows], MONEY),
            "currency": pa.array([row.amount.currency.upper() for row in rows], pa.string()),
            "quantity": decimals([row.quantity for row in rows], QUANTITY),
        }
    )


def decimals(values: list[Decimal | None], kind: pa.Decimal128Type) -> pa.Array:
    """Through text, which is the fastest way into Arrow; rounded only where that is needed."""
    texts = [None if value is None else str(value) for value in values]
    try:
        return pa.array(texts, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        context, unit = Context(prec=kind.precision), Decimal(1).scaleb(-kind.scale)
        rounded = [None if v is None else str(context.quantize(v, unit)) for v in values]
        return pa.array(rounded, pa.string()).cast(kind)


def day(start_time: int) -> date:
    return datetime.fromtimestamp(start_time, UTC).date()


def unix(midnight: date) -> int:
    return int(datetime.combine(midnight, time(), tzinfo=UTC).timestamp())
