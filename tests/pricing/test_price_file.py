"""What a price file may say, and what is answered when it says something else."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers

from finops_pipeline.errors import UsageError
from finops_pipeline.pricing import PriceBook
from finops_pipeline.pricing.book import SUPPLEMENT, supplemented
from finops_pipeline.pricing.list_prices import list_prices
from finops_pipeline.pricing.price_file import read_price_file
from tests.pricing.billing import price_file, rows_for

GUIDE = Path(__file__).parents[2] / "docs" / "prices.md"


def test_prices_are_read_as_they_are_written(tmp_path: Path) -> None:
    # as a float, 0.1234567890123456789 would have lost its last digits
    path = price_file(
        tmp_path,
        """
        prices:
          - model: m
            per: 1 call
            prices: {web_search_calls: 0.123456789012}
          - model: "4"
            per: 1000000 tokens
            prices: {input: 0.000001, output: !!float 2.5}
            valid_from:
            valid_to: null
        """,
    )
    calls, tokens = read_price_file(path).prices
    assert calls.prices == {"web_search_calls": Decimal("0.123456789012")}
    assert tokens.model == "4"
    assert tokens.valid_from is tokens.valid_to is None
    assert [p.unit_price for p in tokens.unit_prices("4")] == [
        Decimal("0.000000000001"),
        Decimal("0.0000025"),
    ]


ENTRY = "{model: gpt-5, per: 1_000_000 tokens, prices: {input: 1.10}%s}"


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (ENTRY % ", discount: 0.2", "discount is no field; the fields are model, tier,"),
        (ENTRY % ", tier: cheap", "tier: Input should be 'standard', 'batch', 'flex' or"),
        (ENTRY % ", valid_from: 15.11.2026", "valid_from: write the day as in 2026-11-15"),
        (ENTRY % ", valid_from: 1763164800", "valid_from: write the day as in 2026-11-15"),
        (ENTRY % ", valid_from: 2026-02-01, valid_to: 2026-02-01", "later than valid_from"),
        (ENTRY % ", long_context_from: 9", "belongs to prices with 'context: long'"),
        ("{per: 1 call, prices: {web_search_calls: 1}}", "entry 1 (None): model: Field required"),
        ("{model: m, per: 1 call}", "entry 1 (m): prices: Field required"),
        ("{model: m, per: 1 call, prices: {}}", "entry 1 (m): prices: "),
        ("{model: m, per: 1M tokens, prices: {input: 1}}", "as in '1_000_000 tokens'"),
        ("{model: m, per: 1 furlong, prices: {input: 1}}", "per is a count and one of calls,"),
        ("{model: m, per: 1 token, prices: {reasoning: 1}}", "the kinds are input, cached_input,"),
        ("{model: m, per: 1 token, prices: {seconds: 1}}", "seconds is priced by seconds, not by"),
        ("{model: m, per: 3 tokens, prices: {input: 1}}", "more than 12 decimals"),
        ("{model: m, per: 1 token, prices: {input: 1000000}}", "a million USD or more"),
        ("{model: m, per: 1 token, prices: {input: -1}}", "prices.input: write it as a plain"),
        ("{model: m, per: 1 token, prices: {input: 1e-6}}", "prices.input: write it as a plain"),
        ('{model: m, per: 1 token, prices: {input: "1,5"}}', "prices.input: write it as a plain"),
        ("{model: m, per: 1 token, prices: {input: .nan}}", "prices.input: write it as a plain"),
        ("{model: m, per: 1 token, prices: {input: 1, input: 2}}", "'input' is given twice"),
        ("gpt-5", "entry 1 is not a mapping"),
    ],
)
def test_a_wrong_entry_is_named_with_what_would_be_right(
    tmp_path: Path, entry: str, answer: str
) -> None:
    path = price_file(tmp_path, f"prices:\n  - {entry}\n")
    with pytest.raises(UsageError, match=re.escape(answer)) as error:
        PriceBook.load(path)
    assert str(path) in error.value.message
    assert "docs/prices.md" in error.value.fix
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "a list named 'prices'"),
        (b"prices: 3", "'prices' is not a list"),
        (b"complimentary:", "'complimentary' is not a list"),
        (b"prices: []\nmore: 1", "a list named 'prices', one named 'complimentary', or both"),
        (b"prices:\n  - [", "line 2: "),
        (b"prices: \xff\xfe", "not text in UTF-8"),
        (b"prices: \x07", "not YAML"),
    ],
)
def test_a_file_that_is_no_price_file(tmp_path: Path, content: bytes, answer: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(answer)):
        PriceBook.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file") as error:
        PriceBook.load(tmp_path / "prices.yaml")
    assert "FINOPS_PRICE_FILE" in error.value.fix


def test_an_empty_list_changes_nothing(tmp_path: Path, listed: PriceBook) -> None:
    assert PriceBook.load(price_file(tmp_path, "prices: []")).prices() == listed.prices()


def test_the_examples_of_the_guide(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    book = PriceBook.load(price_file(tmp_path, "".join(examples)))
    assert {each.declaration_number for each in book.complimentary} == {1, 2}
    overridden = {row["price_model"] for row in rows_for(book, source="override")}
    assert overridden == {entry.model for entry in read_price_file(tmp_path / "prices.yaml").prices}


def test_every_entry_of_the_supplement_says_from_where_and_is_still_needed() -> None:
    entries = read_price_file(SUPPLEMENT).prices
    assert all((entry.source or "").startswith("https://") for entry in entries)
    openai = next(provider for provider in providers if provider.id == "openai")
    in_the_package = {price.key for price in list_prices(openai.models)}
    ours = [price.key for price in supplemented([])]
    assert len(set(ours)) == len(ours)
    assert not in_the_package & set(ours)


def test_the_package_counts_where_it_has_the_price_too() -> None:
    ours = supplemented([])[0]
    theirs = replace(ours, unit_price=Decimal(9))
    assert [p for p in supplemented([theirs]) if p.key == ours.key] == [theirs]
