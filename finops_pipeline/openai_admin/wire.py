"""Buckets and costs as they come over the wire: typed, tolerant, and never a float.

Unknown fields must not break a collection, and somebody should hear of them. So every shape is
decoded by a type that forbids unknown fields first, which costs nothing, and only where that
fails by its tolerant twin, with the names read separately.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from finops_pipeline.openai_admin.errors import BrokenBodyError, BrokenPageError, quoted

R = TypeVar("R", bound=Struct)

MAX_UNKNOWN_NAMES = 20
"""Most names of unknown fields reported per bucket; a server may use ids as names."""


class Amount(Struct, gc=False, forbid_unknown_fields=True):
    """Money: the literal as it was written, number or string."""

    value: Decimal | None = None
    currency: str | None = None


class Result(Struct, gc=False, forbid_unknown_fields=True):
    """One row of a bucket, in the wire's own order, which decodes fastest.

    Raw fields are known and not taken: their names are no news, their values (a person's e-mail
    address among them) never leave the answer.
    """

    object: Raw = Raw()
    amount: Amount | None = None
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: Decimal | None = None
    quantity_unit: str | None = None
    organization_id: str | None = None
    organization_name: str | None = None
    project_name: str | None = None
    user_id: Raw = Raw()
    user_email: Raw = Raw()
    api_source: Raw = Raw()


class AnyAmount(Amount, gc=False, forbid_unknown_fields=False):
    """:class:`Amount`, with fields we do not know."""


class AnyResult(Result, gc=False, forbid_unknown_fields=False):
    """:class:`Result`, with fields we do not know."""

    amount: AnyAmount | None = None


class Bucket(Struct, forbid_unknown_fields=True):
    """One UTC day; its rows stay undecoded until the bucket's turn, which keeps memory low."""

    start_time: int
    results: Raw
    object: Raw = Raw()
    end_time: Raw = Raw()
    start_time_iso: Raw = Raw()
    end_time_iso: Raw = Raw()


class AnyBucket(Bucket, forbid_unknown_fields=False):
    """:class:`Bucket`, with fields we do not know."""


class Page(Struct):
    """One answer in buckets. ``data`` is required: without it nothing was answered."""

    data: list[Bucket]
    has_more: bool | None = None
    next_page: str | None = None


class AnyPage(Struct):
    """:class:`Page`, whose buckets have fields we do not know."""

    data: list[AnyBucket]
    has_more: bool | None = None
    next_page: str | None = None


class _NamesOfBuckets(Struct):
    data: list[dict[str, Raw]]


@dataclass(frozen=True)
class RowForm(Generic[R]):
    """How the rows of a bucket decode.

    Attributes:
        strict: Forbids unknown fields.
        tolerant: The same, with unknown fields.
        known: Names of the fields that are no news, taken or not.
        named_by: The field whose text tells people which row is meant.
    """

    strict: msgspec.json.Decoder[list[R]]
    tolerant: msgspec.json.Decoder[list[R]]
    known: frozenset[str]
    named_by: str


class _NamesOfAmount(Struct):
    amount: dict[str, Raw] | None = None


_page = msgspec.json.Decoder(Page)
_any_page = msgspec.json.Decoder(AnyPage)
_names_of_buckets = msgspec.json.Decoder(_NamesOfBuckets)
_names_of_results = msgspec.json.Decoder(list[dict[str, Raw]])
_names_of_amounts = msgspec.json.Decoder(list[_NamesOfAmount])

_BUCKET_FIELDS = frozenset(Bucket.__struct_fields__)
_AMOUNT_FIELDS = frozenset(Amount.__struct_fields__)
_COSTS: RowForm[Result] = RowForm(
    strict=msgspec.json.Decoder(list[Result]),
    tolerant=msgspec.json.Decoder(list[AnyResult]),
    known=frozenset(Result.__struct_fields__),
    named_by="line_item",
)
_ROW_OF_ERROR = re.compile(r" - at `\$\[(\d+)\]\.?(.*)`$")


def decode_page(body: bytes) -> tuple[Page | AnyPage, tuple[str, ...]]:
    """A page with undecoded rows, and the names of unknown bucket fields (``bucket.x``).

    Raises:
        BrokenBodyError: no JSON, or cut off.
        BrokenPageError: JSON of another shape, or ``has_more`` without ``next_page``.
    """
    try:
        try:
            page: Page | AnyPage = _page.decode(body)
            unknown: tuple[str, ...] = ()
        except msgspec.ValidationError:
            page = _any_page.decode(body)
            unknown = _unknown("bucket", _names_of_buckets.decode(body).data, _BUCKET_FIELDS)
    except msgspec.ValidationError as error:
        raise BrokenPageError(f"is not a page of buckets ({quoted(str(error))})") from None
    except (ValueError, RecursionError):
        raise BrokenBodyError("is not complete JSON") from None
    if page.has_more and not page.next_page:
        raise BrokenPageError("says has_more but gives no next_page")
    return page, unknown


def decode_rows(form: RowForm[R], results: Raw, day: date) -> tuple[list[R], tuple[str, ...]]:
    """A bucket's rows, and the names of their unknown fields (``result.x``).

    Raises:
        BrokenPageError: a row of another shape; names day, row (from 1) and what it is about.
    """
    try:
        try:
            return form.strict.decode(results), ()
        except msgspec.ValidationError:
            rows = form.tolerant.decode(results)
    except msgspec.ValidationError as error:
        raise BrokenPageError(_named_row(form, results, day, str(error))) from None
    except (ValueError, RecursionError):
        raise BrokenPageError(f"holds rows of {day} that are not readable text") from None
    return rows, _unknown("result", _names_of_results.decode(results), form.known)


def decode_results(results: Raw, day: date) -> tuple[list[Result], tuple[str, ...]]:
    """Rows of costs, and the names of their unknown fields (``amount.x``, ``result.x``).

    Raises:
        BrokenPageError: as :func:`decode_rows`.
    """
    rows, unknown = decode_rows(_COSTS, results, day)
    if not rows or not isinstance(rows[0], AnyResult):
        return rows, unknown
    amounts = (row.amount for row in _names_of_amounts.decode(results) if row.amount)
    return rows, (*_unknown("amount", amounts, _AMOUNT_FIELDS), *unknown)


def with_constants_quoted(body: bytes) -> bytes | None:
    """``body`` with its bare NaN and Infinity as strings; None if those are not its fault.

    Bare constants are no JSON. Quoting them lets the ordinary decoder name the row they are in.
    """
    try:
        return msgspec.json.encode(json.loads(body, parse_constant=str, parse_float=str))
    except (ValueError, RecursionError):
        return None


def row_name(day: date, row: int, named_by: str, name: object) -> str:
    """How messages name a row: its day, its place from 1, and what it is about."""
    field = named_by.replace("_", " ")
    about = f"{field} '{quoted(name)}'" if isinstance(name, str) else f"no {field}"
    return f"{day}, row {row + 1} ({about})"


def _named_row(form: RowForm[R], results: Raw, day: date, error: str) -> str:
    found = _ROW_OF_ERROR.search(error)
    if found is None:
        return f"has unreadable results on {day} ({quoted(error)})"
    row, field = int(found.group(1)), found.group(2)
    try:
        fields = msgspec.json.decode(
            msgspec.json.decode(results, type=list[Raw])[row], type=dict[str, Raw]
        )
        name = msgspec.json.decode(fields.get(form.named_by, b"null"))
    except ValueError:
        name = None
    where = row_name(day, row, form.named_by, name)
    return f"has an unusable {field or 'row'} on {where}: {error[: found.start()]}"


def _unknown(
    kind: str, objects: Iterable[dict[str, Raw]], known: frozenset[str]
) -> tuple[str, ...]:
    names = set[str]().union(*objects) - known
    return tuple(f"{kind}.{quoted(name)[:64]}" for name in sorted(names))[:MAX_UNKNOWN_NAMES]
