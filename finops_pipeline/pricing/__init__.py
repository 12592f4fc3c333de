"""What OpenAI's models and tools cost: dated list prices, and the overrides of a file."""

from __future__ import annotations

from finops_pipeline.pricing.book import PriceBook
from finops_pipeline.pricing.changes import PRICE_CHANGES, changes, unpriced
from finops_pipeline.pricing.vocabulary import (
    MODEL_NAMES,
    MODEL_PRICES,
    SERVICE_TIERS,
    UNITS,
    ServiceTier,
    service_tiers,
)

__all__ = [
    "MODEL_NAMES",
    "MODEL_PRICES",
    "PRICE_CHANGES",
    "SERVICE_TIERS",
    "UNITS",
    "PriceBook",
    "ServiceTier",
    "changes",
    "service_tiers",
    "unpriced",
]
