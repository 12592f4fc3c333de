"""Pages: each bucket once, tokens bound to their query."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAY = date(2026, 2, 1)
FIRST = date(2025, 12, 10)
DAYS = 110


@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    start=st.integers(0, DAYS - 1),
    length=st.integers(1, DAYS),
    limit=st.integers(1, 180),
    key=st.integers(0, 2),
)
def test_any_limit_gives_each_bucket_once_and_the_same_rows(
    unchanging: Any, start: int, length: int, limit: int, key: int
) -> None:
    first = FIRST + timedelta(days=start)
    end = min(first + timedelta(days=length), FIRST + timedelta(days=DAYS))
    asked = {"group_by": ("project_id", "line_item"), "key": unchanging.keys[key]}
    whole = unchanging.costs(first, end, limit=180, **asked)
    assert whole.json()["has_more"] is False
    paged = unchanging.buckets(first, end, limit=max(limit, length // 6 + 1), **asked)
    assert paged == unchanging.exact(whole)["data"]
    days = [first + timedelta(days=number) for number in range((end - first).days)]
    assert [bucket["start_time"] for bucket in paged] == list(map(unchanging.unix, days))


def test_the_last_page_has_no_token(company: Any) -> None:
    page = company.costs(DAY, DAY + timedelta(days=7)).json()
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    company.control.set_wire(end_of_pages="empty")
    assert company.costs(DAY, DAY + timedelta(days=7)).json()["next_page"] == ""


def test_a_token_holds_a_character_that_must_be_encoded(unchanging: Any) -> None:
    assert "=" in unchanging.costs(DAY).json()["next_page"]


@pytest.mark.parametrize(
    "other",
    [
        {"limit": 8},
        {"group_by": ("project_id",)},
        {"start": DAY - timedelta(days=1)},
        {"end": DAY + timedelta(days=31)},
        {"project_ids": "proj_1"},
        {"api_key_ids": "key_1"},
    ],
    ids=str,
)
def test_a_token_fits_no_other_query(unchanging: Any, other: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"start": DAY, "end": DAY + timedelta(days=30), "limit": 7}
    token = unchanging.costs(**asked).json()["next_page"]
    assert unchanging.costs(**asked, page=token).status_code == 200
    answer = unchanging.costs(**{**asked, **other}, page=token)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "page")


def test_a_token_fits_no_other_organization(unchanging: Any) -> None:
    token = unchanging.costs(DAY).json()["next_page"]
    assert unchanging.costs(DAY, page=token, key=unchanging.keys[1]).status_code == 200
    assert unchanging.costs(DAY, page=token, key=unchanging.keys[2]).status_code == 400
