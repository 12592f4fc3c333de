"""What one check found, and how a check that breaks off becomes a finding instead of a crash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from finops_pipeline.errors import FinopsError


class Status(StrEnum):
    """``ok``; ``warn``: works, but look at it; ``fail``: a run will fail or leave something out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """A finding.

    Attributes:
        name: What was looked at; a name that stays (see the operators' guide).
        team_id: Whose it is; None where it is the whole installation's.
        status: See :class:`Status`.
        detail: What was found, in one or two sentences without secrets.
        fix: What to do next; empty where nothing is to be done.
    """

    name: str
    team_id: str | None
    status: Status
    detail: str
    fix: str = ""


def ok(name: str, detail: str, *, team_id: str | None = None) -> Check:
    """Nothing to do."""
    return Check(name, team_id, Status.OK, detail)


def warn(name: str, detail: str, fix: str, *, team_id: str | None = None) -> Check:
    """It works, and somebody should look at it."""
    return Check(name, team_id, Status.WARN, detail, fix)


def fail(name: str, detail: str, fix: str, *, team_id: str | None = None) -> Check:
    """A run will fail, or leave something out."""
    return Check(name, team_id, Status.FAIL, detail, fix)


def guarded(name: str, checks: Iterable[Check], *, team_id: str | None = None) -> list[Check]:
    """What the checks find until they are done or break off, which is a finding named ``name``."""
    found: list[Check] = []
    try:
        found.extend(checks)
    except FinopsError as error:
        found.append(fail(name, error.message, error.fix, team_id=team_id))
    except Exception as error:
        # Whatever is wrong here must not hide what the other checks find. The text of an
        # unforeseen exception could hold anything, a key included, so only its type is told.
        found.append(
            fail(
                name,
                f"This check broke off unexpectedly ({type(error).__name__}).",
                "Report it with this message; the other checks are not affected.",
                team_id=team_id,
            )
        )
    return found
