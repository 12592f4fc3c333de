"""The names of the assets that are no dbt models."""

from __future__ import annotations

import dagster as dg

COSTS_KEY = dg.AssetKey(["raw", "costs"])
USAGE_KEY = dg.AssetKey(["raw", "usage"])
REGISTRY_KEY = dg.AssetKey(["raw", "registry"])
PRICES_KEY = dg.AssetKey(["raw", "prices"])
PUBLISHED_KEY = dg.AssetKey(["published_marts"])
