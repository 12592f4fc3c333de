"""The macro that deals out money, against whole numbers of Python."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dbt.conftest import DBT_PROJECT

MOST = 10**38 - 1
"""The most parts of 1e-18 that a decimal(38, 18) has."""

amounts = st.one_of(st.integers(-MOST, MOST), st.integers(-100, 100), st.just(MOST))
weights = st.one_of(st.integers(0, 5), st.integers(0, 10**9), st.integers(0, 10**17))
groups = st.tuples(amounts, st.lists(weights, min_size=1, max_size=12).filter(any))


@pytest.fixture(scope="module")
def macros() -> Any:
    text = (DBT_PROJECT / "macros" / "allocated.sql").read_text()
    return jinja2.Environment(autoescape=False).from_string(text).module


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def dealt(amount: int, shares_of: list[int]) -> list[int]:
    """The largest remainder method, in so many words."""
    total = sum(shares_of)
    whole = [abs(amount) * weight // total for weight in shares_of]
    left = abs(amount) - sum(whole)
    ranked = sorted(range(len(shares_of)), key=lambda n: (-(abs(amount) * shares_of[n] % total), n))
    for number in ranked[:left]:
        whole[number] += 1
    return [-share if amount < 0 else share for share in whole]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(several=st.lists(groups, min_size=1, max_size=8))
def test_shares_are_those_of_the_largest_remainders(
    macros: Any, connection: duckdb.DuckDBPyConnection, several: list[tuple[int, list[int]]]
) -> None:
    rows = [
        f"({number}, {place}, {amount}::hugeint, {weight}::bigint, {sum(given)}::hugeint)"
        for number, (amount, given) in enumerate(several)
        for place, weight in enumerate(given)
    ]
    query = macros.allocated(
        "participants", "amount", "weight", "total", by=["number"], tie_breaker=["place"]
    )
    found = connection.execute(
        f"with participants(number, place, amount, weight, total) as (values {', '.join(rows)})"
        f" select number, list(share order by place) from ({query}) group by number"
    ).fetchall()
    assert dict(found) == {
        number: dealt(amount, given) for number, (amount, given) in enumerate(several)
    }
    for number, shares in found:
        assert sum(shares) == several[number][0]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(parts=amounts)
def test_an_amount_is_the_same_in_parts(
    macros: Any, connection: duckdb.DuckDBPyConnection, parts: int
) -> None:
    amount = Decimal(f"{parts}e-18")
    query = f"select {macros.in_parts('amount')}, {macros.from_parts('parts')}"
    assert connection.execute(
        f"{query} from (select $amount::decimal(38, 18) as amount, $parts::hugeint as parts)",
        {"amount": f"{amount:f}", "parts": parts},
    ).fetchone() == (parts, amount)
