"""The words of the price book: what is priced, in which unit, at which service tier."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Literal, NamedTuple

import pyarrow as pa

ServiceTier = Literal["standard", "batch", "flex", "priority"]
PromptContext = Literal["standard", "long"]
Modality = Literal["text", "audio", "image"]
Source = Literal["list", "override"]

UNITS = {
    "input": "tokens",
    "cached_input": "tokens",
    "cache_write": "tokens",
    "output": "tokens",
    "images": "images",
    "characters": "characters",
    "seconds": "seconds",
    "web_search_calls": "calls",
    "file_search_calls": "calls",
    "code_interpreter_sessions": "sessions",
    "vector_storage": "gb_days",
}
"""Every kind that can have a price, and the unit that its price is for.

Token kinds are those of ``fct_costs.token_kind``; calls and sessions carry the names of the Usage
API's endpoints. A GB is 2^30 bytes, as OpenAI defines it for vector storage.
"""

SERVICE_TIERS: dict[str, ServiceTier] = {
    "default": "standard",
    "auto": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}
"""``service_tier`` of a usage row → tier of its price. A row without one counts as ``default``, and
one of a batch is ``batch`` whatever it says.

``auto`` asks for the project's own tier, which is ``default`` unless somebody changed it; ``fast``
is the later name of ``priority``. A tier that is not in here has no price for a token (``scale`` is
paid for in advance).
"""


class PriceKey(NamedTuple):
    """What a price is for. On any one day there is at most one price for it."""

    model: str
    service_tier: ServiceTier
    context: PromptContext
    modality: Modality | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one unit in USD, for a time.

    Attributes:
        long_context_from: Input tokens of a request above which long context applies; null unless
            the context is long.
        unit_price: USD for one unit of ``UNITS[key.kind]``, at most 12 decimals.
        valid_from: First UTC day; null: since ever.
        valid_to: First UTC day on which it no longer holds; null: still.
        is_backdated: Inferred for days before the price was verified.
    """

    key: PriceKey
    long_context_from: int | None = None
    unit_price: Decimal
    valid_from: date | None = None
    valid_to: date | None = None
    source: Source = "list"
    is_backdated: bool = False


_PLACES = Decimal("1e-12")
_LARGEST = Decimal(1_000_000)
_EXACT = Context(prec=60)


def price_per_unit(price: Decimal, *, per: int, kind: str) -> Decimal:
    """The price of one unit, from the price of ``per`` units.

    Exact to the last digit, but for seconds: prices by the hour or minute rarely divide evenly,
    and are rounded half-even at the 12th decimal. That is at most 0.0000005 USD in a million
    seconds.

    Raises:
        ValueError: more than 12 decimals, or not below a million USD.
    """
    exact = _EXACT.divide(price, Decimal(per))
    if exact >= _LARGEST:
        raise ValueError(f"{price} for {per} is a million USD or more for a single one")
    rounded = exact.quantize(_PLACES, context=_EXACT)
    if rounded != exact and UNITS[kind] != "seconds":
        raise ValueError(f"{price} for {per} is more than 12 decimals for a single one")
    return rounded


_FINE_TUNED = re.compile(
    r"ft[:-](?P<base>[^:]+)(?::.*)?"  # ft:<base>:org:name:id in usage, ft-<base> in costs
    r"|(?P<dotted_base>.+?)\.ft-.*"
    r"|(?P<legacy_base>[^:]+):ft-.*"
)
_DATED = re.compile(r"(?P<undated>.+)-\d{4}-\d{2}-\d{2}")


def canonical_name(model: str) -> str:
    """A model's name in lower case, fine-tuned models in the form of usage: ``ft:<base>…``."""
    name = model.strip().lower()
    return f"ft:{name[3:]}" if name.startswith("ft-") else name


def fine_tuned_base(name: str) -> str | None:
    """The model that a fine-tuned model was made of; null for any other model."""
    match = _FINE_TUNED.fullmatch(name)
    return next(filter(None, match.groups()), None) if match else None


def undated(name: str) -> str | None:
    """``gpt-4o`` for ``gpt-4o-2024-08-06``; null for a name without a date."""
    match = _DATED.fullmatch(name)
    return match["undated"] if match else None


MODEL_PRICES = pa.schema(
    [
        pa.field("price_model", pa.string(), nullable=False),
        pa.field("service_tier", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        ("long_context_from", pa.int64()),
        ("modality", pa.string()),
        pa.field("token_kind", pa.string(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("unit_price", pa.decimal128(18, 12), nullable=False),
        pa.field("currency", pa.string(), nullable=False),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("is_backdated", pa.bool_(), nullable=False),
        pa.field("price_book_version", pa.string(), nullable=False),
    ]
)
"""``raw.model_prices``: what one unit costs, for a time (UTC days, ``valid_to`` exclusive).

For a quantity of modality ``m`` (text, where the source names none) exactly the rows count whose
``modality`` is null or ``m``, which is at most one row on any day.
"""

MODEL_NAMES = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        ("price_model", pa.string()),
        pa.field("base_model", pa.string(), nullable=False),
        pa.field("is_fine_tuned", pa.bool_(), nullable=False),
        ("matched_by", pa.string()),
    ]
)
"""``raw.model_names``: one row per model name in use; ``price_model`` is null where unpriced."""


def service_tiers() -> pa.Table:
    """``raw.service_tiers``: :data:`SERVICE_TIERS` as a table of wire_tier and service_tier."""
    return pa.table(
        {"wire_tier": list(SERVICE_TIERS), "service_tier": list(SERVICE_TIERS.values())}
    )
