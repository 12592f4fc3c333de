from __future__ import annotations

import pytest

from finops_pipeline.pricing import PriceBook


@pytest.fixture(scope="session")
def listed() -> PriceBook:
    """The price book without an override file."""
    return PriceBook.load(None)
