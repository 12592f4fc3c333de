"""Ranges of UTC days; both ends are inclusive everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby, pairwise


def ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    """Ascending days as ranges that do not touch."""
    found = []
    for _, run in groupby(enumerate(days), key=lambda pair: pair[1].toordinal() - pair[0]):
        members = [day for _, day in run]
        found.append((members[0], members[-1]))
    return found


def last_days(yesterday: date, count: int) -> tuple[date, date]:
    """The last ``count`` closed days."""
    return yesterday - timedelta(days=count - 1), yesterday


def previous_month(yesterday: date) -> tuple[date, date]:
    """The month before that of today, the day after ``yesterday``."""
    last = (yesterday + timedelta(days=1)).replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def joined(found: Sequence[tuple[date, date]], at_most: int) -> list[tuple[date, date]]:
    """Fewer ranges that hold all of ``found``, ascending: those closest together become one."""
    result = list(found)
    while len(result) > at_most:
        gaps = [after[0] - before[1] for before, after in pairwise(result)]
        place = gaps.index(min(gaps))
        result[place : place + 2] = [(result[place][0], result[place + 1][1])]
    return result
