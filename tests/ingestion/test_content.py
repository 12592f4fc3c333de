"""Two readings are the same content exactly when they bill the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finops_pipeline.ingestion.content import content_hashes
from finops_pipeline.openai_admin import COSTS_SCHEMA

BILLED = (
    "project_id",
    "line_item",
    "api_key_id",
    "currency",
    "amount",
    "quantity",
    "quantity_unit",
)
NAMES = ("organization_id", "organization_name", "project_name")
TEXTS = [name for name in BILLED if name not in {"amount", "quantity"}]

# Few values, so that rows repeat and differ in single columns; among them what separators and
# byte counts get wrong.
texts = st.none() | st.sampled_from(["", "a", "b", "aa", "ab", "\x00", "é", "e\u0301", "1"])
amounts = st.none() | st.sampled_from(
    [
        Decimal(text)
        for text in ("0", "1E-18", "2E-18", "-1E-18", "0.1", "1", "99999999999999999999")
    ]
)
quantities = st.none() | st.sampled_from(
    [Decimal(text) for text in ("0", "1E-6", "2E-6", "-1E-6", "1", "9007199254740993")]
)
rows = st.fixed_dictionaries(
    dict.fromkeys((*TEXTS, *NAMES), texts) | {"amount": amounts, "quantity": quantities}
)
buckets = st.lists(rows, max_size=6)
quickly = settings(max_examples=60, deadline=None, derandomize=True)

Row = dict[str, Any]


def batch(*rows: Row) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=COSTS_SCHEMA)


def row(**values: Any) -> Row:
    return dict.fromkeys(COSTS_SCHEMA.names) | values


def content_hash(bucket: pa.RecordBatch) -> str:
    return content_hashes(bucket, [bucket.num_rows])[0]


@quickly
@given(st.lists(buckets, max_size=5))
def test_neighbours_are_no_content(several: list[list[Row]]) -> None:
    page = batch(*(row for bucket in several for row in bucket))
    assert content_hashes(page, [len(bucket) for bucket in several]) == [
        content_hash(batch(*bucket)) for bucket in several
    ]


def test_what_was_landed_is_known_again() -> None:
    """A hash that is computed in another way would make a revision of every day ever read."""
    fee = row(line_item="fee", amount=Decimal("-0.5"), currency="USD")
    tokens = row(project_id="p", line_item="gpt-5, input", amount=Decimal(1), quantity=Decimal(3))
    assert content_hash(batch(fee, tokens)) == "f7065300f0494ed91b1eff6e8dda68d2"
    assert content_hash(batch()) == "c804ce198ec337e3dc762bdd1a09aece"


@quickly
@given(buckets, st.randoms(use_true_random=False))
def test_order_is_no_content(bucket: list[Row], random: Any) -> None:
    shuffled = random.sample(bucket, len(bucket))
    assert content_hash(batch(*shuffled)) == content_hash(batch(*bucket))


@quickly
@given(buckets)
def test_names_are_no_content(bucket: list[Row]) -> None:
    renamed = [each | dict.fromkeys(NAMES, "other") for each in bucket]
    assert content_hash(batch(*renamed)) == content_hash(batch(*bucket))


@quickly
@given(buckets, buckets, buckets)
def test_a_slice_is_only_what_it_shows(
    before: list[Row], bucket: list[Row], after: list[Row]
) -> None:
    whole = batch(*before, *bucket, *after)
    assert content_hash(whole.slice(len(before), len(bucket))) == content_hash(batch(*bucket))


@quickly
@given(buckets, buckets)
def test_what_bills_differently_differs(one: list[Row], other: list[Row]) -> None:
    def billed(bucket: list[Row]) -> list[str]:
        return sorted(repr([each[name] for name in BILLED]) for each in bucket)

    same = content_hash(batch(*one)) == content_hash(batch(*other))
    # repr tells null from "" and 0; the strategies write equal decimals alike.
    assert same == (billed(one) == billed(other))


@quickly
@given(buckets, rows, st.sampled_from(BILLED), st.data())
def test_every_column_counts(bucket: list[Row], odd: Row, name: str, data: st.DataObject) -> None:
    values = {"amount": amounts, "quantity": quantities}.get(name, texts)
    changed = odd | {name: data.draw(values)}
    assume(changed[name] != odd[name])
    assert content_hash(batch(*bucket, odd)) != content_hash(batch(*bucket, changed))


@pytest.mark.parametrize("name", TEXTS)
def test_null_is_not_the_empty_text(name: str) -> None:
    assert content_hash(batch(row())) != content_hash(batch(row(**{name: ""})))


@pytest.mark.parametrize("name", ["amount", "quantity"])
def test_null_is_not_zero(name: str) -> None:
    assert content_hash(batch(row())) != content_hash(batch(row(**{name: Decimal(0)})))


@pytest.mark.parametrize(("name", "nothing"), [("line_item", ""), ("amount", Decimal(0))])
def test_which_row_has_the_null_counts(name: str, nothing: object) -> None:
    def bucket(first: object, second: object) -> pa.RecordBatch:
        return batch(row(project_id="a", **{name: first}), row(project_id="b", **{name: second}))

    assert content_hash(bucket(None, nothing)) != content_hash(bucket(nothing, None))


def test_text_does_not_move_between_cells() -> None:
    together = [
        batch(row(project_id="ab", line_item="c")),
        batch(row(project_id="a", line_item="bc")),
        batch(row(project_id="abc", line_item="")),
        batch(row(project_id="", line_item="abc")),
        batch(row(project_id="abc")),
        batch(row(line_item="abc")),
        batch(row(project_id="ab"), row(project_id="c")),
        batch(row(project_id="a"), row(project_id="bc")),
    ]
    assert len({content_hash(each) for each in together}) == len(together)


def test_values_do_not_move_between_rows() -> None:
    one = batch(row(project_id="a", amount=Decimal(1)), row(project_id="b", amount=Decimal(2)))
    other = batch(row(project_id="a", amount=Decimal(2)), row(project_id="b", amount=Decimal(1)))
    assert content_hash(one) != content_hash(other)


def test_how_often_a_row_comes_counts() -> None:
    fee = row(line_item="fee", amount=Decimal(1))
    assert content_hash(batch(fee)) != content_hash(batch(fee, fee))
    assert content_hash(batch()) != content_hash(batch(row()))


@pytest.mark.parametrize(("one", "other"), [("0.10", "0.1"), ("1E+1", "10"), ("0E-6", "0")])
def test_writing_of_an_amount_is_no_content(one: str, other: str) -> None:
    for name in ("amount", "quantity"):
        written = [content_hash(batch(row(**{name: Decimal(text)}))) for text in (one, other)]
        assert written[0] == written[1]


def test_amount_and_quantity_are_told_apart_by_scale() -> None:
    """The same unscaled integer in either column is another content."""
    million = Decimal(1_000_000)
    cases = [row(amount=million.scaleb(-18)), row(quantity=million.scaleb(-6))]
    assert content_hash(batch(cases[0])) != content_hash(batch(cases[1]))
    smallest = [row(amount=Decimal(1).scaleb(-18)), row(amount=Decimal(0))]
    assert content_hash(batch(smallest[0])) != content_hash(batch(smallest[1]))


def test_empty_buckets_are_one_content() -> None:
    whole = batch(row(amount=Decimal(1)))
    assert content_hash(batch()) == content_hash(whole.slice(1, 0))
