"""Changes of API keys: registered, rotated, ended, wrapped anew.

AWS KMS and OpenAI are asked between transactions, never within one, because others wait for the
one that writes. That one looks at everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import envelope, rules
from finops_pipeline.registry.audit import Subject
from finops_pipeline.registry.envelope import KeyContext
from finops_pipeline.registry.keys import ADMIN, Keys, active_row, status
from finops_pipeline.registry.models import KeyRow, OwnershipRow, ProjectRow
from finops_pipeline.registry.periods import owners, today
from finops_pipeline.registry.projects import project_row
from finops_pipeline.registry.records import KeyFindings, KeyStatus, KnownOfTeam
from finops_pipeline.registry.teams import active_team_row, team_row
from finops_pipeline.registry.timeline import current

Check = Callable[[str, KnownOfTeam], KeyFindings]
"""Tries a new key's text out against what is known of its team; refuses it with a FinopsError."""


class KeyChanges(Keys):
    """The registry's part that changes keys. No method returns, logs or raises a key's text."""

    def register_key(
        self,
        team_id: str,
        key: str,
        *,
        project_id: str | None = None,
        organization_id: str | None = None,
        check: Check | None = None,
    ) -> KeyStatus:
        """Encrypt and store a team's admin key, or a project's, for the configured API host.

        Args:
            project_id: The project whose key it is; None: the team's admin key.
            organization_id: The OpenAI organization that it opens, if known without a check.
            check: Tries the key out before anything is stored; None is recorded as such.

        Raises:
            UsageError: the key cannot be one, the team is unknown or deactivated or does not own
                the project, or there is an active key already.
            FinopsError: the check refused it, or the wrapping key is lost or not usable.
        """
        context = self._context(team_id, project_id)
        with self._attempt("key.register", Subject(team_id, project_id)) as attempt:
            rules.check_key(key)
            with self._database.reading() as session:
                _check_free(session, context)
                known, in_use = _known(session, team_id), _in_use(session)
            findings = check(key, known) if check else None
            row = self._new_row(key, context, in_use, findings, organization_id)
            with attempt.writing() as session:
                _check_free(session, context)
                session.add(row)
                session.flush()
                attempt.record(
                    session,
                    after=_recorded(row, findings),
                    subject=replace(attempt.subject, key_id=row.key_id),
                )
                return status(row)

    def rotate_key(
        self,
        team_id: str,
        key: str,
        *,
        project_id: str | None = None,
        organization_id: str | None = None,
        check: Check | None = None,
    ) -> KeyStatus:
        """Put a new key in the place of the active one: both in one transaction, or neither.

        Args:
            project_id, organization_id, check: As for :meth:`register_key`. The old key stays the
                active one until the check has passed.

        Raises:
            UsageError: the key cannot be one, the team is unknown or deactivated or does not own
                the project, or there is no active key.
            FinopsError: the check refused it, the wrapping key is lost or not usable, or somebody
                else replaced the old key meanwhile; the active key stays.
        """
        context = self._context(team_id, project_id)
        with self._attempt("key.rotate", Subject(team_id, project_id)) as attempt:
            rules.check_key(key)
            with self._database.reading() as session:
                _check_owner(session, context)
                old_id = _required_row(session, context).key_id
                known, in_use = _known(session, team_id), _in_use(session)
            findings = check(key, known) if check else None
            row = self._new_row(key, context, in_use, findings, organization_id)
            with attempt.writing() as session:
                _check_owner(session, context)
                old = _required_row(session, context)
                if old.key_id != old_id:
                    raise FinopsError(
                        f"The {context.whose} was replaced by somebody else at the same moment; "
                        "nothing was changed here.",
                        f"Look at it with `finops key status {team_id}`.",
                    )
                _deactivate(session, old)
                session.add(row)
                session.flush()
                attempt.record(
                    session,
                    before={"key_id": old.key_id, "last4": old.last4},
                    after=_recorded(row, findings),
                    subject=replace(attempt.subject, key_id=row.key_id),
                )
                return status(row)

    def deactivate_key(self, team_id: str, *, project_id: str | None = None) -> KeyStatus:
        """End an active key, without touching the key at OpenAI.

        Raises:
            UsageError: the team is unknown or does not own the project, or there is no active key.
        """
        context = self._context(team_id, project_id)
        subject = Subject(team_id, project_id)
        with self._attempt("key.deactivate", subject) as attempt, attempt.writing() as session:
            team_row(session, team_id)
            if project_id is not None:
                _check_project(session, team_id, project_id)
            row = _required_row(session, context)
            _deactivate(session, row)
            attempt.record(
                session,
                before={"last4": row.last4, "is_active": True},
                after={"is_active": False},
                subject=replace(attempt.subject, key_id=row.key_id),
            )
            return status(row)

    def rewrap_key(self, key_id: str) -> KeyStatus | None:
        """Encrypt an active key anew under the configured wrapping key.

        One transaction puts the new ciphertext in the place of the old one, which is not given up
        before the new data key was seen to open. None: there is nothing to do, because that
        wrapping key has it already, or because it is no longer an active key.

        Raises:
            UndecryptableError: the stored key does not open.
            FinopsError: a wrapping key is lost or not usable; the stored key stays as it was.
        """
        with self._database.reading() as session:
            row = session.get_one(KeyRow, key_id)
            context = self._context(row.team_id, row.project_id)
            stored, iv, wrapped_by = self._team_key(row), row.iv, row.wrapped_by
            in_use = _in_use(session)
        subject = Subject(context.team_id, context.project_id, key_id)
        with self._attempt("key.rewrap", subject) as attempt:
            self._wrapper.prepare(in_use)
            data_key = self._wrapper.new_data_key(context)
            if data_key.wrapped_by == wrapped_by:
                return None
            self._wrapper.unwrap(data_key.wrapped, data_key.wrapped_by, context)
            sealed = envelope.seal(stored.reveal(), context, data_key)
            with attempt.writing() as session:
                row = session.get_one(KeyRow, key_id)
                if not row.is_active or row.iv != iv:
                    return None
                for name, value in asdict(sealed).items():
                    setattr(row, name, value)
                row.updated_at = datetime.now(UTC)
                attempt.record(
                    session,
                    before={"wrapped_by": wrapped_by},
                    after={"wrapped_by": sealed.wrapped_by},
                )
                return status(row)

    def _new_row(
        self,
        key: str,
        context: KeyContext,
        in_use: Sequence[str],
        findings: KeyFindings | None,
        organization_id: str | None,
    ) -> KeyRow:
        self._wrapper.prepare(in_use)
        sealed = envelope.seal(key, context, self._wrapper.new_data_key(context))
        now = datetime.now(UTC)
        return KeyRow(
            key_id=str(uuid4()),
            team_id=context.team_id,
            key_type=context.key_type,
            project_id=context.project_id,
            provider="openai",
            last4=envelope.last4(key),
            fingerprint=envelope.fingerprint(key),
            api_host=context.api_host,
            organization_id=findings.organization_id if findings else organization_id,
            is_active=True,
            created_at=now,
            updated_at=now,
            **asdict(sealed),
        )


def _recorded(row: KeyRow, findings: KeyFindings | None) -> dict[str, object]:
    """What the audit log says of a new key."""
    names = ("key_type", "last4", "wrapped_by", "organization_id")
    scopes = list(findings.scopes) if findings else None
    validated = findings is not None
    return {name: getattr(row, name) for name in names} | {"validated": validated, "scopes": scopes}


def _known(session: Session, team_id: str) -> KnownOfTeam:
    newest = (
        select(KeyRow.organization_id)
        .where(KeyRow.team_id == team_id, KeyRow.key_type == ADMIN)
        .order_by(KeyRow.created_at.desc())
        .limit(1)
    )
    projects = (
        select(ProjectRow.openai_project_id)
        .join(OwnershipRow, OwnershipRow.project_id == ProjectRow.project_id)
        .where(OwnershipRow.team_id == team_id)
    )
    return KnownOfTeam(session.scalar(newest), frozenset(session.scalars(projects)))


def _in_use(session: Session) -> list[str]:
    """The names of the wrapping keys that active keys need."""
    return [*session.scalars(select(KeyRow.wrapped_by).where(KeyRow.is_active).distinct())]


def _check_free(session: Session, context: KeyContext) -> None:
    _check_owner(session, context)
    if active_row(session, context) is not None:
        raise UsageError(
            f"{_place(context)} already has an active {context.key_type} key.",
            f"Replace it with `{context.rotation}`.",
        )


def _check_owner(session: Session, context: KeyContext) -> None:
    active_team_row(session, context.team_id)
    if context.project_id is not None:
        _check_project(session, context.team_id, context.project_id)


def _check_project(session: Session, team_id: str, project_id: str) -> None:
    project_row(session, project_id)
    owner = current(owners(session, project_id)[project_id], today()).value
    if owner != team_id:
        raise UsageError(
            f"Project {project_id!r} belongs to team {owner!r} and not to {team_id!r}.",
            "`finops project list` shows who owns what.",
        )


def _required_row(session: Session, context: KeyContext) -> KeyRow:
    row = active_row(session, context)
    if row is None:
        raise UsageError(
            f"{_place(context)} has no active {context.key_type} key.",
            f"Register one with `{context.rotation.replace('rotate', 'register', 1)}`.",
        )
    return row


def _place(context: KeyContext) -> str:
    if context.project_id is None:
        return f"Team {context.team_id!r}"
    return f"Project {context.project_id!r}"


def _deactivate(session: Session, row: KeyRow) -> None:
    row.is_active = False
    row.deactivated_at = row.updated_at = datetime.now(UTC)
    session.flush()
