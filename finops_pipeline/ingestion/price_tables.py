"""The price book as raw tables, landed by each build for which something about it is new."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

import duckdb
import pyarrow as pa

from finops_pipeline.ingestion.loading import raw_tables
from finops_pipeline.ingestion.tables import TIMESTAMP
from finops_pipeline.warehouse.warehouse import Warehouse

_PRICING = Path(__file__).parents[1] / "pricing"

_BOOK = pa.schema(
    [
        pa.field("fingerprint", pa.string()),
        pa.field("price_book_version", pa.string(), nullable=False),
        pa.field("landed_at", TIMESTAMP, nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)

_MODELS_IN_USE = r"""
SELECT DISTINCT model FROM raw.usage WHERE model IS NOT NULL
UNION
SELECT DISTINCT model FROM raw.legacy_usage WHERE model IS NOT NULL
UNION
SELECT DISTINCT model FROM raw.requests
UNION
SELECT regexp_extract(
  regexp_replace(lower(trim(line_item)), '\s+', ' ', 'g'),
  '^(?:[^|]*\| ?)?([^\s,|]+)(?: (?:audio|image|text))? ?,',
  1
) AS model
FROM (SELECT DISTINCT line_item FROM raw.costs WHERE line_item IS NOT NULL)
WHERE model <> ''
"""
"""Usage and requests name models outright. In a bill one stands between a surface and a comma; what
is no model there is found under no price, and does no harm."""

_IN_FORCE = """
SELECT * FROM raw.model_prices AS listed
WHERE source = 'override' OR NOT EXISTS (
  SELECT 1 FROM raw.model_prices AS agreed
  WHERE agreed.source = 'override' AND agreed.price_model = listed.price_model
    AND agreed.service_tier = listed.service_tier AND agreed.context = listed.context
    AND agreed.modality IS NOT DISTINCT FROM listed.modality
    AND agreed.token_kind = listed.token_kind
    AND coalesce(agreed.valid_from, '-infinity') < coalesce(listed.valid_to, 'infinity')
    AND coalesce(listed.valid_from, '-infinity') < coalesce(agreed.valid_to, 'infinity')
)
"""
"""Without the list's prices that an override replaces, which are kept beside it."""


@dataclass(frozen=True)
class PriceLanding:
    """What a build landed of the price book.

    Attributes:
        version: Package and version of the list.
        is_new: Whether anything had to be landed.
        rows: Rows per table.
    """

    version: str
    is_new: bool
    rows: dict[str, int]


def land_prices(
    warehouse: Warehouse, price_file: Path | None, *, run_id: str, landed_at: datetime
) -> PriceLanding:
    """Bring the price tables up to date. Only inside ``warehouse.writing``; raw tables must exist.

    The book takes most of a second to load, so it is opened only when the installed list, the
    override file, or the models in use are others than at the last landing.

    Args:
        price_file: The override file, or None.
        landed_at: The build's clock (UTC).

    Raises:
        UsageError: the override file is wrong; names the entry and what would be right.
        FinopsError: the installed list cannot be used.
    """
    fingerprint = _fingerprint(price_file)
    with warehouse.connect() as connection:
        used = {model for (model,) in connection.execute(_MODELS_IN_USE).fetchall()}
        landed = _landed(connection)
    if landed is not None and fingerprint is not None and landed.covers(fingerprint, used):
        return PriceLanding(landed.version, False, landed.rows)

    from finops_pipeline.pricing import PRICE_CHANGES, PriceBook, changes, service_tiers

    book = PriceBook.load(price_file)
    prices = book.prices()
    changed = PRICE_CHANGES.empty_table() if landed is None else changes(landed.prices, prices)
    about = {
        "fingerprint": fingerprint,
        "price_book_version": book.version,
        "landed_at": landed_at,
        "run_id": run_id,
    }
    tables = {
        "model_prices": book.prices_and_replaced(),
        "model_names": book.names(used),
        "service_tiers": service_tiers(),
        "complimentary_tokens": book.complimentary_tokens(),
        "model_price_changes": changed,
        "price_book": pa.Table.from_pylist([about], schema=_BOOK),
    }
    warehouse.replace_raw_tables(tables)
    return PriceLanding(
        book.version, True, {name: table.num_rows for name, table in tables.items()}
    )


@dataclass(frozen=True)
class _Landed:
    """The price tables as an earlier build left them."""

    fingerprint: str | None
    version: str
    models: frozenset[str]
    prices: pa.Table
    rows: dict[str, int]

    def covers(self, fingerprint: str, used: AbstractSet[str]) -> bool:
        return self.fingerprint == fingerprint and self.models == used


def _landed(connection: duckdb.DuckDBPyConnection) -> _Landed | None:
    names = (
        "model_prices",
        "model_names",
        "service_tiers",
        "complimentary_tokens",
        "model_price_changes",
        "price_book",
    )
    if not raw_tables(connection) >= set(names):
        return None
    ((fingerprint, version),) = connection.execute(
        "SELECT fingerprint, price_book_version FROM raw.price_book"
    ).fetchall()
    models = connection.execute("SELECT model FROM raw.model_names").fetchall()
    rows = {
        name: connection.execute(f"SELECT count(*) FROM raw.{name}").fetchall()[0][0]
        for name in names
    }
    return _Landed(
        fingerprint,
        version,
        frozenset(model for (model,) in models),
        connection.execute(_IN_FORCE).to_arrow_table(),
        rows,
    )


def _fingerprint(price_file: Path | None) -> str | None:
    """Changes whenever the price book may; None where the file cannot be read."""
    digest = hashlib.sha256(metadata.version("genai-prices").encode())
    try:
        for path in (*sorted(_PRICING.glob("*.*")), *([price_file] if price_file else [])):
            content = path.read_bytes()
            digest.update(f"\0{path.name}\0{len(content)}\0".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()


def unpriced_models(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The models in use that have no price, by name. Only after :func:`land_prices`."""
    found = connection.execute(
        "SELECT model FROM raw.model_names WHERE price_model IS NULL ORDER BY model"
    ).fetchall()
    return [model for (model,) in found]


def price_changes(connection: duckdb.DuckDBPyConnection, run_id: str) -> pa.Table:
    """What the prices landed by ``run_id`` changed for models in use: ``PRICE_CHANGES``.

    Empty where that run landed no prices.
    """
    return connection.execute(
        "SELECT * FROM raw.model_price_changes "
        "WHERE price_model IN (SELECT price_model FROM raw.model_names) "
        "  AND EXISTS (SELECT 1 FROM raw.price_book WHERE run_id = $run_id)",
        {"run_id": run_id},
    ).to_arrow_table()
