"""OpenAI's public list prices of tokens, in USD for a million."""

from __future__ import annotations

TOKEN_PRICES: dict[str, dict[str, str]] = {
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
"""Ordinary prices by kind of token, as the bill names it."""

TIER_PRICES: dict[str, dict[str, tuple[str, ...]]] = {
    "batch": {
        "gpt-4o-2024-08-06": ("1.25", "1.25", "5.00"),
        "gpt-4o-mini-2024-07-18": ("0.075", "0.075", "0.30"),
        "gpt-4.1-2025-04-14": ("1.00", "0.50", "4.00"),
        "gpt-4.1-mini-2025-04-14": ("0.20", "0.10", "0.80"),
        "gpt-4.1-nano-2025-04-14": ("0.05", "0.025", "0.20"),
        "gpt-5-2025-08-07": ("0.625", "0.0625", "5.00"),
        "gpt-5-mini-2025-08-07": ("0.125", "0.0125", "1.00"),
        "gpt-5-nano-2025-08-07": ("0.025", "0.0025", "0.20"),
        "gpt-5.4-2026-03-05": ("1.25", "0.13", "7.50"),
        "o3-2025-04-16": ("1.00", "0.50", "4.00"),
        "o4-mini-2025-04-16": ("0.55", "0.275", "2.20"),
        "text-embedding-3-small": ("0.01",),
        "text-embedding-3-large": ("0.065",),
    },
    "flex": {
        "gpt-5-2025-08-07": ("0.625", "0.0625", "5.00"),
        "gpt-5-mini-2025-08-07": ("0.125", "0.0125", "1.00"),
        "gpt-5-nano-2025-08-07": ("0.025", "0.0025", "0.20"),
        "gpt-5.4-2026-03-05": ("1.25", "0.13", "7.50"),
        "o3-2025-04-16": ("1.00", "0.25", "4.00"),
        "o4-mini-2025-04-16": ("0.55", "0.138", "2.20"),
    },
    "priority": {
        "gpt-4o-2024-08-06": ("4.25", "2.125", "17.00"),
        "gpt-4o-mini-2024-07-18": ("0.25", "0.125", "1.00"),
        "gpt-4.1-2025-04-14": ("3.50", "0.875", "14.00"),
        "gpt-4.1-mini-2025-04-14": ("0.70", "0.175", "2.80"),
        "gpt-4.1-nano-2025-04-14": ("0.20", "0.05", "0.80"),
        "gpt-5-2025-08-07": ("2.50", "0.25", "20.00"),
        "gpt-5-mini-2025-08-07": ("0.45", "0.045", "3.60"),
        "gpt-5.4-2026-03-05": ("5.00", "0.50", "30.00"),
        "o3-2025-04-16": ("3.50", "0.875", "14.00"),
        "o4-mini-2025-04-16": ("2.00", "0.50", "8.00"),
    },
}
"""What OpenAI lists for each service tier: input, cached input, output. In batch, models before
gpt-5 have no discount on cached input."""

LONG_CONTEXT_PRICES = {
    "gpt-4.1-2025-04-14": ("2.00", "0.50", "8.00"),  # costs no more
    "gpt-5.4-2026-03-05": ("5.00", "0.50", "22.50"),
}
"""Prices of requests with a long context: input, cached input, output."""
