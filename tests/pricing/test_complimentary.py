"""Tokens that a price file declares to be free."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.pricing import PriceBook
from tests.pricing.billing import price_file

ENTRY = "{organization: org-1, models: [gpt-4o], tokens_a_day: 1_000_000%s}"


def load(folder: Path, *entries: str) -> PriceBook:
    return PriceBook.load(
        price_file(folder, "complimentary:\n" + "".join(f"  - {entry}\n" for entry in entries))
    )


def test_models_share_what_is_declared_under_the_names_that_they_are_priced_by(
    tmp_path: Path, listed: PriceBook
) -> None:
    book = load(
        tmp_path,
        "{organization: org-1, models: [gpt-4o-2024-08-06, GPT-4o, o3], tokens_a_day: 250_000,"
        " valid_from: 2026-01-01, note: data sharing}",
        "{organization: org-2, models: [o3], tokens_a_day: 10}",
    )
    assert [tuple(row.values()) for row in book.complimentary_tokens().to_pylist()] == [
        (1, "org-1", "gpt-4o", 250_000, date(2026, 1, 1), None),
        (1, "org-1", "o3", 250_000, date(2026, 1, 1), None),
        (2, "org-2", "o3", 10, None, None),
    ]
    assert book.prices() == listed.prices()
    assert listed.complimentary_tokens().num_rows == 0


def test_periods_may_follow_each_other(tmp_path: Path) -> None:
    book = load(tmp_path, ENTRY % ", valid_to: 2026-02-01", ENTRY % ", valid_from: 2026-02-01")
    assert book.complimentary_tokens().num_rows == 2


@pytest.mark.parametrize(
    ("entries", "answer"),
    [
        ([ENTRY % ", tokens: 1"], "entry 1 (org-1): tokens is no field; the fields are organiz"),
        ([ENTRY % ", valid_to: 1763164800"], "valid_to: write the day as in 2026-11-15"),
        ([ENTRY % ", valid_from: 2026-02-01, valid_to: 2026-02-01"], "later than valid_from"),
        (["{organization: o, models: [o3], tokens_a_day: 1.5}"], "as in 1_000_000"),
        (["{organization: o, models: [o3], tokens_a_day: 0}"], "as in 1_000_000"),
        (["{organization: o, models: o3, tokens_a_day: 1}"], "models: Input should be a valid"),
        (["{organization: o, models: [], tokens_a_day: 1}"], "models: "),
        (["{models: [o3], tokens_a_day: 1}"], "organization: Field required"),
        (["{organization: o, models: [gpt-9], tokens_a_day: 1}"], "gpt-9 has no price"),
        ([ENTRY % "", ENTRY % ", valid_from: 2026-02-01"], "entries 1 and 2 both give org-1"),
        (["org-1"], "complimentary entry 1 is not a mapping"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entries: list[str], answer: str) -> None:
    with pytest.raises(UsageError, match=re.escape(answer)):
        load(tmp_path, *entries)
