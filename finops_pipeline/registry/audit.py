"""The audit log: who changed or opened what, in a chain that shows a missing or an edited entry.

An entry is written in the transaction of the change itself; a refused attempt gets one of its own.
Each carries the SHA-256 of the entry before it, and the newest is repeated in ``audit_head``, so
that entries cut off at the end are missed too. Whoever may write every table can rewrite the whole
chain, which is why the newest hash belongs into other hands as well: ``finops audit verify`` prints
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import rules
from finops_pipeline.registry.database import Database
from finops_pipeline.registry.database_errors import UnusableDatabaseError
from finops_pipeline.registry.models import AuditHeadRow, AuditRow
from finops_pipeline.registry.records import Actor, AuditEntry, Verification

DONE = "done"
REFUSED = "refused"

FIRST_HASH = "0" * 64
"""What stands for the entry before the first one."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What an attempt is about; texts that are no usable names are not recorded."""

    team_id: str | None = None
    project_id: str | None = None
    key_id: str | None = None


@dataclass(frozen=True)
class Change:
    """What an entry says was changed: names and values, never key material."""

    action: str
    subject: Subject
    before: Values | None
    after: Values | None


class Attempt:
    """One command's attempt to change the registry; see :meth:`Audited._attempt`.

    Attributes:
        changes: What was recorded so far, by parts of it too.
    """

    def __init__(
        self,
        database: Database,
        actor: Actor,
        action: str,
        subject: Subject,
        changes: list[Change] | None = None,
    ) -> None:
        self._database = database
        self._actor = actor
        self.action = action
        self.subject = subject
        self.changes = [] if changes is None else changes

    def part(self, action: str, subject: Subject) -> Attempt:
        """One of the many changes of this attempt, recorded under its own name."""
        return Attempt(self._database, self._actor, action, subject, self.changes)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The transaction of the change; :meth:`record` belongs into it."""
        with self._database.writing() as session:
            yield session

    def record(
        self,
        session: Session,
        *,
        before: Values | None = None,
        after: Values | None = None,
        subject: Subject | None = None,
        detail: str | None = None,
    ) -> None:
        """Write what was changed, by names and values; never key material."""
        self.changes.append(Change(self.action, subject or self.subject, before, after))
        _append(
            session,
            self._actor,
            action=self.action,
            outcome=DONE,
            subject=subject or self.subject,
            before=before,
            after=after,
            detail=detail,
        )

    def refuse(self, error: FinopsError) -> None:
        """Write that the attempt was refused, in a transaction of its own."""
        with self._database.writing() as session:
            _append(
                session,
                self._actor,
                action=self.action,
                outcome=REFUSED,
                subject=self.subject,
                before=None,
                after=None,
                detail=error.message,
            )


class Audited:
    """The registry's part about its own history."""

    _database: Database
    _actor: Actor

    @contextmanager
    def _attempt(self, action: str, subject: Subject) -> Iterator[Attempt]:
        """An attempt that is recorded when it is refused; done ones record themselves."""
        attempt = Attempt(self._database, self._actor, action, _nameable(subject))
        try:
            yield attempt
        except UnusableDatabaseError:
            raise
        except FinopsError as error:
            # Why the attempt was refused matters more than that this cannot be recorded.
            with suppress(UnusableDatabaseError):
                attempt.refuse(error)
            raise

    def audit_entries(
        self, team_id: str | None = None, *, limit: int | None = None
    ) -> list[AuditEntry]:
        """The newest entries of one team or of all, the newest last; None means every one."""
        query = select(AuditRow).order_by(AuditRow.sequence.desc()).limit(limit)
        if team_id is not None:
            query = query.where(AuditRow.team_id == team_id)
        with self._database.reading() as session:
            return [_entry(row) for row in session.scalars(query)][::-1]

    def verify_audit(self, noted_hash: str | None = None) -> Verification:
        """Recompute the chain and compare it with what is stored.

        Args:
            noted_hash: The hash of an entry as it was once read; it has to be in the chain still.
        """
        with self._database.reading() as session:
            rows = session.scalars(
                select(AuditRow).order_by(AuditRow.sequence).execution_options(yield_per=1000)
            )
            return _verified(
                (_entry(row) for row in rows), session.get(AuditHeadRow, 1), noted_hash
            )


def _verified(
    entries: Iterator[AuditEntry], head: AuditHeadRow | None, noted_hash: str | None
) -> Verification:
    problems = []
    noted = noted_hash in {None, FIRST_HASH}
    count, expected, previous = 0, 1, FIRST_HASH
    for entry in entries:
        count += 1
        if entry.sequence != expected:
            missing = (
                f"{expected}"
                if entry.sequence == expected + 1
                else (f"{expected} to {entry.sequence - 1}")
            )
            problems.append(f"missing: entry {missing}")
        elif entry.previous_hash != previous:
            problems.append(f"entry {entry.sequence} does not follow from the one before it")
        if _hash(entry) != entry.entry_hash:
            problems.append(f"entry {entry.sequence} was edited")
        noted = noted or entry.entry_hash == noted_hash
        expected, previous = entry.sequence + 1, entry.entry_hash
    if head is None:
        problems.append("the record of the newest entry is missing")
    elif (head.sequence, head.entry_hash) != (expected - 1, previous):
        problems.append(f"missing or edited at the end: the newest entry was {head.sequence}")
    if not noted:
        problems.append("no entry has the noted hash: entries were cut off or written anew")
    return Verification(count, previous, tuple(problems))


def _append(
    session: Session,
    actor: Actor,
    *,
    action: str,
    outcome: str,
    subject: Subject,
    before: Values | None,
    after: Values | None,
    detail: str | None,
) -> None:
    # One writer at a time, so the head cannot move before the commit: read once a transaction.
    head = session.info.get("audit_head") or session.get_one(AuditHeadRow, 1)
    session.info["audit_head"] = head
    values: dict[str, Any] = {
        "sequence": head.sequence + 1,
        "recorded_at": datetime.now(UTC),
        "actor": actor.user,
        "on_behalf_of": actor.on_behalf_of,
        "run_id": actor.run_id,
        "action": action,
        "outcome": outcome,
        "team_id": subject.team_id,
        "project_id": subject.project_id,
        "key_id": subject.key_id,
        "before": None if before is None else _canonical(before),
        "after": None if after is None else _canonical(after),
        "detail": detail,
        "previous_hash": head.entry_hash,
    }
    entry_hash = _hash(AuditEntry(**values, entry_hash=""))
    session.add(AuditRow(**values, entry_hash=entry_hash))
    head.sequence, head.entry_hash = values["sequence"], entry_hash


def _hash(entry: AuditEntry) -> str:
    values = {item.name: getattr(entry, item.name) for item in fields(entry)}
    del values["entry_hash"]
    return hashlib.sha256(_canonical(values).encode()).hexdigest()


def _canonical(values: Values) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), default=_text)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(**{item.name: getattr(row, item.name) for item in fields(AuditEntry)})


def _nameable(subject: Subject) -> Subject:
    """Without what the command was given in the place of a name, which may be a key."""
    return Subject(
        team_id=subject.team_id if rules.is_slug(subject.team_id) else None,
        project_id=subject.project_id if rules.is_slug(subject.project_id) else None,
        key_id=subject.key_id,
    )
