"""What a simulated organization can buy: line items and their list prices.

Prices are OpenAI's public list prices in USD for one unit (a token, a call, an image, a byte and
day), kept as Decimals so that quantity times price is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

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

    @property
    def text(self) -> str:
        """The label on the bill: ``[surface | ]model[ modality], kind[, long context]``."""
        surface = f"{self.surface} | " if self.surface else ""
        if self.service is not None:
            return f"{surface}{self.service}"
        modality = f" {self.modality}" if self.modality else ""
        context = ", long context" if self.long_context else ""
        return f"{surface}{self.model}{modality}, {self.kind}{context}"


_USUAL_TOKENS = {
    "input": 2_400_000,
    "input_tokens": 2_400_000,
    "cached input": 900_000,
    "cached_input_tokens": 900_000,
    "output": 410_000,
    "output_tokens": 410_000,
    "cache writes": 120_000,
}

_TOKEN_PRICES: dict[str, dict[str, str]] = {
    "gpt-4o-2024-08-06": {"input": "2.50", "cached input": "1.25", "output": "10.00"},
    "gpt-4o-mini-2024-07-18": {"input": "0.15", "cached input": "0.075", "output": "0.60"},
    "gpt-4.1-2025-04-14": {"input": "2.00", "cached input": "0.50", "output": "8.00"},
    "gpt-4.1-mini-2025-04-14": {"input": "0.40", "cached input": "0.10", "output": "1.60"},
    "gpt-4.1-nano-2025-04-14": {"input": "0.10", "cached input": "0.025", "output": "0.40"},
    "gpt-5-2025-08-07": {"input": "1.25", "cached input": "0.125", "output": "10.00"},
    "gpt-5-mini-2025-08-07": {"input": "0.25", "cached input": "0.025", "output": "2.00"},
    "gpt-5-nano-2025-08-07": {"input": "0.05", "cached input": "0.005", "output": "0.40"},
    "gpt-5.4-2026-03-05": {
        "input_tokens": "2.50",
        "cached_input_tokens": "0.25",
        "output_tokens": "15.00",
        "cache writes": "3.125",
    },
    "o3-2025-04-16": {"input": "2.00", "cached input": "0.50", "output": "8.00"},
    "o4-mini-2025-04-16": {"input": "1.10", "cached input": "0.275", "output": "4.40"},
    "text-embedding-3-small": {"input": "0.02"},
    "text-embedding-3-large": {"input": "0.13"},
    "omni-moderation-latest": {"input": "0"},
    "ft-gpt-4o-mini-2024-07-18": {"input": "0.30", "cached input": "0.15", "output": "1.20"},
}

_SURFACE_RATES: dict[str, Decimal] = {
    "assistants api": Decimal(1),
    "evals": Decimal(1),
    "batch": Decimal("0.5"),
    "flex": Decimal("0.5"),
    "priority": Decimal("1.7"),
}

_LONG_CONTEXT_MODELS = ("gpt-4.1-2025-04-14", "gpt-5.4-2026-03-05")
_LONG_CONTEXT_RATES = {
    "input": Decimal(2),
    "input_tokens": Decimal(2),
    "cached input": Decimal(2),
    "cached_input_tokens": Decimal(2),
    "output": Decimal("1.5"),
    "output_tokens": Decimal("1.5"),
}


def _token(model: str, kind: str, per_million: Decimal, **form: str) -> LineItem:
    return LineItem(
        unit="tokens",
        unit_price=per_million / MILLION,
        usual_quantity=_USUAL_TOKENS[kind],
        model=model,
        kind=kind,
        surface=form.get("surface"),
        modality=form.get("modality"),
    )


def _token_offers() -> dict[str, tuple[LineItem, ...]]:
    offers: dict[str, tuple[LineItem, ...]] = {}
    for model, prices in _TOKEN_PRICES.items():
        offers[model] = tuple(_token(model, kind, Decimal(price)) for kind, price in prices.items())
        for surface, rate in _SURFACE_RATES.items():
            if len(prices) == 1 and surface != "batch":  # no output, no other tier
                continue
            offers[f"{surface} | {model}"] = tuple(
                _token(model, kind, Decimal(price) * rate, surface=surface)
                for kind, price in prices.items()
            )
    for model in _LONG_CONTEXT_MODELS:
        offers[f"{model}, long context"] = tuple(
            LineItem(
                unit="tokens",
                unit_price=Decimal(price) * _LONG_CONTEXT_RATES[kind] / MILLION,
                usual_quantity=_USUAL_TOKENS[kind] // 4,
                model=model,
                kind=kind,
                long_context=True,
            )
            for kind, price in _TOKEN_PRICES[model].items()
            if kind in _LONG_CONTEXT_RATES
        )
    return offers


def _modal_offers() -> dict[str, tuple[LineItem, ...]]:
    audio = "gpt-4o-audio-preview-2024-12-17"
    image = "gpt-image-1"
    return {
        audio: (
            _token(audio, "input", Decimal("2.50"), modality="text"),
            _token(audio, "output", Decimal("10.00"), modality="text"),
            _token(audio, "input", Decimal("40.00"), modality="audio"),
            _token(audio, "output", Decimal("80.00"), modality="audio"),
        ),
        image: (
            _token(image, "input", Decimal("5.00"), modality="text"),
            _token(image, "input", Decimal("10.00"), modality="image"),
            _token(image, "output", Decimal("40.00"), modality="image"),
        ),
    }


def _service(
    service: str, unit: str, unit_price: Decimal, usual: int, surface: str | None = None
) -> tuple[LineItem, ...]:
    return (LineItem(unit, unit_price, usual, service=service, surface=surface),)


OFFERS: dict[str, tuple[LineItem, ...]] = {
    **_token_offers(),
    **_modal_offers(),
    "web search tool calls": _service("web search tool calls", "requests", Decimal("0.01"), 140),
    "assistants api | file search": _service(
        "file search", "requests", Decimal("0.0025"), 260, surface="assistants api"
    ),
    # 0.10 USD for a GiB and day: an exact price for one byte has 31 decimals, which makes these
    # amounts the long ones that a decimal(38, 18) has to round.
    "Vector storage": _service(
        "Vector storage", "bytes", _EXACT.divide(Decimal("0.10"), GIBIBYTE), 6_400_000_000
    ),
    "Image models": _service("Image models", "images", Decimal("0.04"), 85),
}
"""What a project can use, by name: a model, ``surface | model``, ``model, long context``, or a
service without a model. Each is billed in one or more line items."""
