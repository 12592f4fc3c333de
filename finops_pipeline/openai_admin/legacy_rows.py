"""Rows of the legacy usage endpoint, from the wire to Arrow: one shape for all of its lists.

The endpoint is undocumented. The names are those of recorded answers: completions count in
``n_…`` and name a ``snapshot_id``, the lists beside them count in ``num_…`` and name a
``model_id``. A field that a row does not have stays null.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial

import msgspec
import pyarrow as pa
from msgspec import Raw, Struct

from finops_pipeline.openai_admin.arrow import QUANTITY, decimals
from finops_pipeline.openai_admin.errors import BrokenBodyError, BrokenPageError, quoted
from finops_pipeline.openai_admin.wire import MAX_UNKNOWN_NAMES, RowForm, decode_rows, row_name

LISTS = ("data", "ft_data", "dalle_api_data", "whisper_api_data", "tts_api_data")
"""The lists that an answer holds: completions, fine-tuned ones, images, seconds heard and
characters spoken."""


class LegacyRow(Struct, gc=False, forbid_unknown_fields=True):
    """One row of any list. Raw fields are known and not taken."""

    aggregation_timestamp: int | None = None
    timestamp: int | None = None
    operation: str | None = None
    snapshot_id: str | None = None
    model_id: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    request_type: str | None = None
    image_size: str | None = None
    n_requests: Decimal | None = None
    num_requests: Decimal | None = None
    n_context_tokens_total: Decimal | None = None
    n_cached_context_tokens_total: Decimal | None = None
    n_context_audio_tokens_total: Decimal | None = None
    n_generated_tokens_total: Decimal | None = None
    n_generated_audio_tokens_total: Decimal | None = None
    num_images: Decimal | None = None
    num_seconds: Decimal | None = None
    num_characters: Decimal | None = None
    object: Raw = Raw()
    organization_id: Raw = Raw()
    organization_name: Raw = Raw()
    project_name: Raw = Raw()
    user_id: Raw = Raw()
    email: Raw = Raw()
    api_key_name: Raw = Raw()
    api_key_redacted: Raw = Raw()
    api_key_type: Raw = Raw()


class AnyLegacyRow(LegacyRow, gc=False, forbid_unknown_fields=False):
    """:class:`LegacyRow`, with fields we do not know."""


_MEASURES = {
    "request_count": ("n_requests", "num_requests"),
    "input_tokens": ("n_context_tokens_total",),
    "input_cached_tokens": ("n_cached_context_tokens_total",),
    "input_audio_tokens": ("n_context_audio_tokens_total",),
    "output_tokens": ("n_generated_tokens_total",),
    "output_audio_tokens": ("n_generated_audio_tokens_total",),
    "images": ("num_images",),
    "seconds": ("num_seconds",),
    "characters": ("num_characters",),
}
"""Our column → the wire's names of it."""

LEGACY_USAGE_SCHEMA = pa.schema(
    [
        ("aggregation_at", pa.timestamp("us", tz="UTC")),
        ("dataset", pa.string()),
        ("operation", pa.string()),
        ("model", pa.string()),
        ("openai_project_id", pa.string()),
        ("api_key_id", pa.string()),
        ("is_batch", pa.bool_()),
        ("image_size", pa.string()),
        *((name, QUANTITY) for name in _MEASURES),
    ]
)
"""One row of a list: when its slot of five minutes began, the list, OpenAI's own ids, quantities.

As in the Usage API, cached and audio tokens are contained in ``input_tokens`` and
``output_tokens``. All but ``dataset`` is nullable.
"""

_FORM: RowForm[LegacyRow] = RowForm(
    strict=msgspec.json.Decoder(list[LegacyRow]),
    tolerant=msgspec.json.Decoder(list[AnyLegacyRow]),
    known=frozenset(LegacyRow.__struct_fields__),
    named_by="snapshot_id",
)
_NONE, _NULL = Raw(b"[]"), Raw(b"null")
_answer = msgspec.json.Decoder(dict[str, Raw])


def decode_legacy_usage(body: bytes, day: date) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """All lists of ``day``'s answer with :data:`LEGACY_USAGE_SCHEMA`, and names of what is unknown.

    Unknown is a field of a row (``result.x``), or a list that is not empty (``list.x``).

    Raises:
        BrokenBodyError: no JSON, or cut off.
        BrokenPageError: JSON without ``data``, a row of another shape or of another day, or a
            quantity that is no finite number or does not fit; names list, day, row and model.
    """
    try:
        answer = _answer.decode(body)
    except msgspec.ValidationError as error:
        raise BrokenPageError(f"is not an answer with lists ({quoted(str(error))})") from None
    except (ValueError, RecursionError):
        raise BrokenBodyError("is not complete JSON") from None
    if "data" not in answer:
        raise BrokenPageError("has no list 'data'")
    batches = []
    unknown = dict.fromkeys(_unknown_lists(answer))
    for dataset in LISTS:
        results = answer.get(dataset, _NONE)
        # A list of nothing may come as null, but for the one that every answer has.
        rows, names = decode_rows(
            _FORM, _NONE if results == _NULL and dataset != "data" else results, day
        )
        unknown |= dict.fromkeys(names)
        batches.append(_batch(dataset, rows, day))
    return pa.concat_batches(batches), tuple(unknown)[:MAX_UNKNOWN_NAMES]


def _unknown_lists(answer: dict[str, Raw]) -> list[str]:
    """Numbers and texts beside the lists tell nothing of usage, and neither does an empty list."""
    return [
        f"list.{quoted(name)[:64]}"
        for name in sorted(answer.keys() - set(LISTS))
        if (text := bytes(answer[name])).startswith(b"[") and text[1:-1].strip()
    ]


def _batch(dataset: str, rows: list[LegacyRow], day: date) -> pa.RecordBatch:
    def named(column: str, row: int) -> str:
        return f"{column} in {dataset} on {row_name(day, row, 'model', _model(rows[row]))}"

    measures = [
        decimals([_first(row, names) for row in rows], QUANTITY, partial(named, "/".join(names)))
        for names in _MEASURES.values()
    ]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(
                [
                    _slot(row, day, partial(named, "slot", number))
                    for number, row in enumerate(rows)
                ],
                LEGACY_USAGE_SCHEMA.field("aggregation_at").type,
            ),
            pa.array([dataset] * len(rows), pa.string()),
            pa.array([row.operation for row in rows], pa.string()),
            pa.array([_model(row) for row in rows], pa.string()),
            pa.array([row.project_id for row in rows], pa.string()),
            pa.array([row.api_key_id for row in rows], pa.string()),
            pa.array(
                [None if (kind := row.request_type) is None else kind == "batch" for row in rows],
                pa.bool_(),
            ),
            pa.array([row.image_size for row in rows], pa.string()),
            *measures,
        ],
        schema=LEGACY_USAGE_SCHEMA,
    )


def _model(row: LegacyRow) -> str | None:
    return row.snapshot_id if row.snapshot_id is not None else row.model_id


def _first(row: LegacyRow, names: tuple[str, ...]) -> Decimal | None:
    found = (getattr(row, name) for name in names)
    return next((value for value in found if value is not None), None)


def _slot(row: LegacyRow, day: date, named: partial[str]) -> datetime | None:
    """When the row's slot began (UTC).

    Raises:
        BrokenPageError: on another day than was asked for, so that the answer cannot be of it.
    """
    seconds = row.aggregation_timestamp if row.timestamp is None else row.timestamp
    if seconds is None:
        return None
    try:
        slot = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        slot = None
    if slot is None or slot.date() != day:
        raise BrokenPageError(f"has an unusable {named()}: {seconds} is not on that day")
    return slot
