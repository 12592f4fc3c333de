"""Rows of usage, from the wire to Arrow: one wide shape for all endpoints.

Endpoints share most of their fields, so one shape decodes them all, whatever name a result object
carries. A field that a row does not have stays null: old rows have input, output, cached and audio
tokens alone, and a missing measure is not zero.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial

import msgspec
import pyarrow as pa
from msgspec import Raw, Struct

from finops_pipeline.openai_admin.arrow import QUANTITY, decimals
from finops_pipeline.openai_admin.wire import RowForm, decode_rows, row_name


class UsageRow(Struct, gc=False, forbid_unknown_fields=True):
    """One row of any usage endpoint. Raw fields are known and not taken."""

    object: Raw = Raw()
    organization_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    batch: bool | None = None
    size: str | None = None
    source: str | None = None
    vector_store_id: str | None = None
    context_level: str | None = None
    input_tokens: Decimal | None = None
    output_tokens: Decimal | None = None
    input_cached_tokens: Decimal | None = None
    input_uncached_tokens: Decimal | None = None
    input_cache_write_tokens: Decimal | None = None
    input_text_tokens: Decimal | None = None
    output_text_tokens: Decimal | None = None
    input_cached_text_tokens: Decimal | None = None
    input_audio_tokens: Decimal | None = None
    output_audio_tokens: Decimal | None = None
    input_cached_audio_tokens: Decimal | None = None
    input_image_tokens: Decimal | None = None
    output_image_tokens: Decimal | None = None
    input_cached_image_tokens: Decimal | None = None
    num_model_requests: Decimal | None = None
    images: Decimal | None = None
    characters: Decimal | None = None
    seconds: Decimal | None = None
    usage_bytes: Decimal | None = None
    num_sessions: Decimal | None = None
    num_requests: Decimal | None = None
    organization_name: Raw = Raw()
    project_name: Raw = Raw()
    user_email: Raw = Raw()
    api_source: Raw = Raw()


class AnyUsageRow(UsageRow, gc=False, forbid_unknown_fields=False):
    """:class:`UsageRow`, with fields we do not know."""


DIMENSIONS = (
    "organization_id",
    "project_id",
    "user_id",
    "api_key_id",
    "model",
    "service_tier",
    "batch",
    "size",
    "source",
    "vector_store_id",
    "context_level",
)
"""What a row is about: null where the endpoint was not, or cannot be, grouped by it."""

TOKEN_MEASURES = (
    "input_tokens",
    "output_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_cache_write_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_cached_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "input_cached_image_tokens",
)
"""Tokens of completions. ``input_tokens`` includes cached ones, cache writes and every modality;
``input_uncached_tokens`` and ``input_{text,audio,image}_tokens`` include neither cached ones nor
cache writes."""

MEASURES = (
    *TOKEN_MEASURES,
    "num_model_requests",
    "images",
    "characters",
    "seconds",
    "usage_bytes",
    "num_sessions",
    "num_requests",
)
"""Everything that usage is measured in; a measure that is absent is null, not zero."""

USAGE_SCHEMA = pa.schema(
    [
        *((name, pa.bool_() if name == "batch" else pa.string()) for name in DIMENSIONS),
        *((name, QUANTITY) for name in MEASURES),
    ]
)
"""One row of usage: OpenAI's own ids, quantities in the measure's unit; all nullable."""

_FORM: RowForm[UsageRow] = RowForm(
    strict=msgspec.json.Decoder(list[UsageRow]),
    tolerant=msgspec.json.Decoder(list[AnyUsageRow]),
    known=frozenset(UsageRow.__struct_fields__),
    named_by="model",
)


def decode_usage(results: Raw, day: date) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """The rows of ``day``'s bucket with :data:`USAGE_SCHEMA`, and the names of unknown fields.

    Quantities are rounded half-even to 6 places.

    Raises:
        BrokenPageError: a row of another shape, or a quantity that is no finite number or does
            not fit (below 1e22); names day, row and model.
    """
    rows, unknown = decode_rows(_FORM, results, day)

    def named(measure: str, row: int) -> str:
        return f"{measure} on {row_name(day, row, 'model', rows[row].model)}"

    def column(field: pa.Field) -> pa.Array:
        values = [getattr(row, field.name) for row in rows]
        if all(value is None for value in values):  # most columns of most endpoints
            return pa.nulls(len(rows), field.type)
        if field.type != QUANTITY:
            return pa.array(values, field.type)
        return decimals(values, QUANTITY, partial(named, field.name))

    arrays = [column(field) for field in USAGE_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=USAGE_SCHEMA), unknown
