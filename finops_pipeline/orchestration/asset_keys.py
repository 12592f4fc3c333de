"""The names of the assets that are no dbt models."""

from __future__ import annotations

import dagster as dg

COSTS_KEY = dg.AssetKey(["raw", "costs"])
USAGE_KEY = dg.AssetKey(["raw", "usage"])
LEGACY_KEY = dg.AssetKey(["raw", "legacy_usage"])
REQUESTS_KEY = dg.AssetKey(["raw", "requests"])
REGISTRY_KEY = dg.AssetKey(["raw", "registry"])
PRICES_KEY = dg.AssetKey(["raw", "prices"])
PUBLISHED_KEY = dg.AssetKey(["published_marts"])

OPENAI_OP = "openai"
"""The step that reads costs and usage, which takes their configuration."""
