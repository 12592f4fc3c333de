"""What a simulated organization can buy: line items and their list prices.

Prices are OpenAI's public list prices in USD for one unit (a token, a call, an image, a byte and
day), kept as Decimals so that quantity times price is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Literal, get_args

from finops_pipeline.simulator.list_prices import LONG_CONTEXT_PRICES, TIER_PRICES, TOKEN_PRICES

UsageEndpoint = Literal[
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
]
USAGE_ENDPOINTS: tuple[UsageEndpoint, ...] = get_args(UsageEndpoint)

Nature = Literal["other_rate", "tool_fee", "unknown_model"]
"""Why a bill differs from usage at list price by the nature of what was bought."""

MILLION = Decimal(1_000_000)
GIBIBYTE = Decimal(2**30)
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class LineItem:
    """One thing that is billed: a kind of token of a model, or a tool without a model.

    Attributes:
        service: What is billed where no model is named (``Vector storage``); else null.
        usual_quantity: What a project of ordinary size uses on an ordinary weekday, in units.
        unit: ``quantity_unit`` as the API names it.
        unit_price: USD for one unit.
        list_price: What one unit costs by the price list, without any surface or long context;
            None where no list has it.
        endpoint: The usage endpoint that counts it.
    """

    unit: str
    unit_price: Decimal
    usual_quantity: int
    service: str | None = None
    model: str | None = None
    surface: str | None = None
    modality: str | None = None
    kind: str | None = None
    long_context: bool = False
    list_price: Decimal | None = None
    endpoint: UsageEndpoint = "completions"

    @property
    def nature(self) -> Nature | None:
        """Why its bill is not usage at list price; None where it is."""
        if self.list_price is None:
            return "tool_fee" if self.model is None else "unknown_model"
        return None if self.list_price == self.unit_price else "other_rate"

    @property
    def text(self) -> str:
        """The label on the bill: ``[surface | ]model[ modality], kind[, long context]``."""
        surface = f"{self.surface} | " if self.surface else ""
        if self.service is not None:
            return f"{surface}{self.service}"
        modality = f" {self.modality}" if self.modality else ""
        context = ", long context" if self.long_context else ""
        return f"{surface}{self.model}{modality}, {self.kind}{context}"


_UNKNOWN_MODEL = "gpt-6-preview-2026-10-01"
"""A model that is on no price list."""

_USUAL_TOKENS = {
    "input": 2_400_000,
    "input_tokens": 2_400_000,
    "cached input": 900_000,
    "cached_input_tokens": 900_000,
    "output": 410_000,
    "output_tokens": 410_000,
    "cache writes": 120_000,
}

_TOKEN_ENDPOINTS: dict[str, UsageEndpoint] = {
    "text-embedding-3-small": "embeddings",
    "text-embedding-3-large": "embeddings",
    "omni-moderation-latest": "moderations",
}

_LIST_PRICED_SURFACES = ("assistants api", "evals")


def _token(
    model: str,
    kind: str,
    listed: str,
    *,
    billed: str | None = None,
    surface: str | None = None,
    modality: str | None = None,
    long_context: bool = False,
) -> LineItem:
    """A kind of token; ``listed`` and ``billed`` (by default the same) are USD for a million."""
    return LineItem(
        unit="tokens",
        unit_price=Decimal(billed or listed) / MILLION,
        usual_quantity=_USUAL_TOKENS[kind] // (4 if long_context else 1),
        model=model,
        kind=kind,
        surface=surface,
        modality=modality,
        long_context=long_context,
        list_price=None if model == _UNKNOWN_MODEL else Decimal(listed) / MILLION,
        endpoint=_TOKEN_ENDPOINTS.get(model, "completions"),
    )


def _token_offers() -> dict[str, tuple[LineItem, ...]]:
    offers: dict[str, tuple[LineItem, ...]] = {}
    for model, prices in TOKEN_PRICES.items():
        listed = prices.items()
        offers[model] = tuple(_token(model, kind, price) for kind, price in listed)
        if len(prices) > 1:
            for surface in _LIST_PRICED_SURFACES:
                offers[f"{surface} | {model}"] = tuple(
                    _token(model, kind, price, surface=surface) for kind, price in listed
                )
        # Cache writes come last, and have no price but the ordinary one.
        for tier, billed in TIER_PRICES.items():
            if model in billed:
                offers[f"{tier} | {model}"] = tuple(
                    _token(model, kind, price, billed=other, surface=tier)
                    for (kind, price), other in zip(listed, billed[model], strict=False)
                )
        if model in LONG_CONTEXT_PRICES:
            offers[f"{model}, long context"] = tuple(
                _token(model, kind, price, billed=other, long_context=True)
                for (kind, price), other in zip(listed, LONG_CONTEXT_PRICES[model], strict=False)
            )
    return offers


def _modal_offers() -> dict[str, tuple[LineItem, ...]]:
    audio = "gpt-4o-audio-preview-2024-12-17"
    image = "gpt-image-1"
    speech = "gpt-4o-mini-tts"
    return {
        audio: (
            _token(audio, "input", "2.50", modality="text"),
            _token(audio, "output", "10.00", modality="text"),
            _token(audio, "input", "40.00", modality="audio"),
            _token(audio, "output", "80.00", modality="audio"),
        ),
        image: (
            _token(image, "input", "5.00", modality="text"),
            _token(image, "input", "10.00", modality="image"),
            _token(image, "output", "40.00", modality="image"),
        ),
        speech: (
            _token(speech, "input", "0.60", modality="text"),
            _token(speech, "output", "12.00", modality="audio"),
        ),
    }


def _heard(
    model: str, unit: str, unit_price: Decimal, usual: int, endpoint: UsageEndpoint
) -> tuple[LineItem, ...]:
    """A model that is billed by what it hears or says, not by tokens."""
    return (
        LineItem(
            unit,
            unit_price,
            usual,
            model=model,
            kind="input",
            list_price=unit_price,
            endpoint=endpoint,
        ),
    )


def _service(
    service: str,
    unit: str,
    unit_price: Decimal,
    usual: int,
    endpoint: UsageEndpoint,
    surface: str | None = None,
) -> tuple[LineItem, ...]:
    return (LineItem(unit, unit_price, usual, service=service, surface=surface, endpoint=endpoint),)


OFFERS: dict[str, tuple[LineItem, ...]] = {
    **_token_offers(),
    **_modal_offers(),
    "web search tool calls": _service(
        "web search tool calls", "requests", Decimal("0.01"), 140, "web_search_calls"
    ),
    "assistants api | file search": _service(
        "file search",
        "requests",
        Decimal("0.0025"),
        260,
        "file_search_calls",
        surface="assistants api",
    ),
    # 0.10 USD for a GiB and day: an exact price for one byte has 31 decimals, which makes these
    # amounts the long ones that a decimal(38, 18) has to round.
    "Vector storage": _service(
        "Vector storage",
        "bytes",
        _EXACT.divide(Decimal("0.10"), GIBIBYTE),
        6_400_000_000,
        "vector_stores",
    ),
    "Image models": _service("Image models", "images", Decimal("0.04"), 85, "images"),
    "code interpreter sessions": _service(
        "code interpreter sessions", "sessions", Decimal("0.03"), 30, "code_interpreter_sessions"
    ),
    "whisper-1": _heard(
        "whisper-1", "duration_seconds", Decimal("0.0001"), 9_000, "audio_transcriptions"
    ),
    "tts-1": _heard("tts-1", "characters", Decimal("0.000015"), 300_000, "audio_speeches"),
    _UNKNOWN_MODEL: (
        _token(_UNKNOWN_MODEL, "input", "4.00"),
        _token(_UNKNOWN_MODEL, "output", "20.00"),
    ),
}
"""What a project can use, by name: a model, ``surface | model``, ``model, long context``, or a
service without a model. Each is billed in one or more line items."""
