"""Rows of a bucket → one Arrow record batch, every number exact to its last decimal kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from finops_pipeline.openai_admin.errors import BrokenPageError, quoted
from finops_pipeline.openai_admin.wire import Result, row_name

ONE_PAGE_AT_A_TIME = Lock()
"""Held while the buckets of a page are made into Arrow or worked on. A day is few rows, so Python
and Arrow alternate many times in a millisecond; threads that took turns at each of these moments
needed three times the processor time of one after the other."""

MONEY = pa.decimal128(38, 18)
QUANTITY = pa.decimal128(28, 6)

COSTS_SCHEMA = pa.schema(
    [
        ("organization_id", pa.string()),
        ("organization_name", pa.string()),
        ("project_id", pa.string()),
        ("project_name", pa.string()),
        ("api_key_id", pa.string()),
        ("line_item", pa.string()),
        ("amount", MONEY),
        ("currency", pa.string()),
        ("quantity", QUANTITY),
        ("quantity_unit", pa.string()),
    ]
)
"""One cost row: OpenAI's own ids and texts; amount in currency units; all nullable."""


def costs_batch(rows: Sequence[Result], day: date) -> pa.RecordBatch:
    """The rows of ``day``'s bucket with :data:`COSTS_SCHEMA`, in the wire's order.

    Amounts are rounded half-even to 18 places, quantities to 6; currencies are upper case.

    Raises:
        BrokenPageError: an amount or quantity that is no finite number or does not fit (amounts
            below 1e20, quantities below 1e22); names day, row and line item.
    """

    def named(column: str) -> Callable[[int], str]:
        return lambda row: f"{column} on {row_name(day, row, 'line_item', rows[row].line_item)}"

    amounts = [row.amount.value if row.amount else None for row in rows]
    currencies = pa.array(
        [row.amount.currency if row.amount else None for row in rows], pa.string()
    )
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.organization_id for row in rows], pa.string()),
            pa.array([row.organization_name for row in rows], pa.string()),
            pa.array([row.project_id for row in rows], pa.string()),
            pa.array([row.project_name for row in rows], pa.string()),
            pa.array([row.api_key_id for row in rows], pa.string()),
            pa.array([row.line_item for row in rows], pa.string()),
            decimals(amounts, MONEY, named("amount")),
            pc.utf8_upper(currencies),
            decimals([row.quantity for row in rows], QUANTITY, named("quantity")),
            pa.array([row.quantity_unit for row in rows], pa.string()),
        ],
        schema=COSTS_SCHEMA,
    )


def decimals(
    values: Sequence[Decimal | None], kind: pa.Decimal128Type, named: Callable[[int], str]
) -> pa.Array:
    """Round half-even and convert one column; ``named`` tells which value of which row is meant.

    Through text, because ``pa.array`` takes 10 µs for each Decimal and Arrow's own parser 0.2.
    The context's precision is the column's: what does not fit raises instead of losing digits.

    Raises:
        BrokenPageError: a value that is no finite number or does not fit.
    """
    unit = Decimal(1).scaleb(-kind.scale)
    context = Context(prec=kind.precision, rounding=ROUND_HALF_EVEN)
    quantize = context.quantize
    try:
        texts = [None if value is None else str(quantize(value, unit)) for value in values]
        return pa.array(texts, pa.string()).cast(kind)
    except (InvalidOperation, pa.ArrowInvalid):
        pass
    for number, value in enumerate(values):
        if value is not None and not _fits(value, unit, context):
            literal = quoted(str(value))[:60]
            raise BrokenPageError(
                f"has an unusable {named(number)}: {literal} is no number that fits"
            )
    raise AssertionError("a column failed without a row that explains it")


def _fits(value: Decimal, unit: Decimal, context: Context) -> bool:
    try:
        return context.quantize(value, unit).is_finite()
    except InvalidOperation:
        return False
