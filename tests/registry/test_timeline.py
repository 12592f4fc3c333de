"""Periods: no day without a value, none with two, and the past as it was."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.registry.timeline import Period, changed, current

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(20)]
bounded = settings(derandomize=True, max_examples=200, deadline=None)

starts = st.none() | st.sampled_from(DAYS[:5])
steps = st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from("abc")), max_size=8)


def given_from(timeline: list[Period[str]], day: date, value: str) -> list[Period[str]]:
    return changed(timeline, day, lambda _: value)


def values(timeline: list[Period[str]]) -> dict[date, str | None]:
    """The value of each day, found by looking at every period."""
    found = {}
    for day in DAYS:
        holding = [period.value for period in timeline if period.holds(day)]
        assert len(holding) <= 1, f"{day} has {holding}"
        found[day] = holding[0] if holding else None
    return found


@bounded
@given(start=starts, steps=steps)
def test_whatever_changes_there_is_no_gap_no_overlap_and_no_needless_period(
    start: date | None, steps: list[tuple[date, str]]
) -> None:
    timeline = [Period(start, None, "a")]
    for day, value in steps:
        if start is not None and day < start:
            with pytest.raises(LookupError):
                given_from(timeline, day, value)
            continue
        timeline = given_from(timeline, day, value)

    assert timeline[0].valid_from == start
    assert timeline[-1].valid_to is None
    for one, other in pairwise(timeline):
        assert one.valid_to == other.valid_from
        assert one.value != other.value
    for period in timeline:
        if period.valid_from and period.valid_to:
            assert period.valid_from < period.valid_to


@bounded
@given(steps=steps, day=st.sampled_from(DAYS), value=st.sampled_from("abcd"))
def test_a_change_leaves_the_days_before_it_and_those_of_later_changes(
    steps: list[tuple[date, str]], day: date, value: str
) -> None:
    timeline = [Period(None, None, "a")]
    for earlier, given_value in steps:
        timeline = given_from(timeline, earlier, given_value)
    before = values(timeline)
    end = next(period.valid_to for period in timeline if period.holds(day))
    after = values(given_from(timeline, day, value))

    for one in DAYS:
        in_force = day <= one and (end is None or one < end)
        assert after[one] == (value if in_force else before[one])
    assert current(given_from(timeline, day, value), day).value == value


@bounded
@given(steps=steps, day=st.sampled_from(DAYS))
def test_the_same_change_twice_is_one(steps: list[tuple[date, str]], day: date) -> None:
    timeline = [Period(None, None, "a")]
    for earlier, value in steps:
        timeline = given_from(timeline, earlier, value)
    once = changed(timeline, day, lambda _: "z")

    assert changed(once, day, lambda _: "z") == once
    assert changed(timeline, day, lambda value: value) == timeline


def test_what_is_still_to_come_is_current_where_nothing_holds_yet() -> None:
    timeline = [Period(DAYS[5], None, "a")]
    assert current(timeline, DAYS[0]).value == "a"
