"""Admin keys: stored encrypted, one active per team, opened for a collection alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import envelope, rules
from finops_pipeline.registry.database import Database
from finops_pipeline.registry.envelope import KeyContext, KeyWrapper, SealedKey
from finops_pipeline.registry.models import KeyRow, TeamRow
from finops_pipeline.registry.records import CollectableTeam, KeyStatus, TeamKey
from finops_pipeline.registry.teams import active_team_row, team_row

ADMIN = "admin"


class Keys:
    """The registry's part about keys. No method returns, logs or raises a key's text."""

    _database: Database
    _wrapper: KeyWrapper
    _api_host: str

    def register_key(
        self, team_id: str, key: str, *, organization_id: str | None = None
    ) -> KeyStatus:
        """Encrypt and store a team's admin key for the configured API host.

        Raises:
            UsageError: the key cannot be one, the team is unknown or deactivated or has an active
                key already.
            FinopsError: the wrapping key is lost or not usable.
        """
        rules.check_key(key)
        with self._database.writing() as session:
            active_team_row(session, team_id)
            if _active_admin_row(session, team_id) is not None:
                raise UsageError(
                    f"Team {team_id!r} already has an active admin key.",
                    f"Replace it with `finops key rotate {team_id}`.",
                )
            return self._store(session, team_id, key, organization_id)

    def rotate_key(
        self, team_id: str, key: str, *, organization_id: str | None = None
    ) -> KeyStatus:
        """Put a new admin key in the place of the active one, in one transaction.

        Raises:
            UsageError: the key cannot be one, the team is unknown or deactivated or has no active
                key.
            FinopsError: the wrapping key is lost or not usable; the old key stays.
        """
        rules.check_key(key)
        with self._database.writing() as session:
            active_team_row(session, team_id)
            old = _required_admin_row(session, team_id)
            self._wrapper.prepare(keys_depend_on_it=True)
            _deactivate(session, old)
            return self._store(session, team_id, key, organization_id)

    def deactivate_key(self, team_id: str) -> KeyStatus:
        """End a team's active admin key, without touching the key at OpenAI.

        Raises:
            UsageError: the team is unknown or has no active key.
        """
        with self._database.writing() as session:
            team_row(session, team_id)
            row = _required_admin_row(session, team_id)
            _deactivate(session, row)
            return _status(row)

    def key_status(self, team_id: str) -> list[KeyStatus]:
        """A team's keys, the newest first.

        Raises:
            UsageError: the team is unknown.
        """
        with self._database.reading() as session:
            team_row(session, team_id)
            rows = session.scalars(
                select(KeyRow)
                .where(KeyRow.team_id == team_id)
                .order_by(KeyRow.is_active.desc(), KeyRow.created_at.desc())
            )
            return [_status(row) for row in rows]

    def active_admin_key(self, team_id: str) -> TeamKey | None:
        """The team's active admin key as stored now; None where it has none.

        Raises:
            UsageError: the team is unknown.
        """
        with self._database.reading() as session:
            team_row(session, team_id)
            row = _active_admin_row(session, team_id)
            return None if row is None else self._team_key(row)

    def collectable_teams(self, team_ids: Sequence[str] | None) -> list[CollectableTeam]:
        """The active teams with their active admin keys, by id; None or no id means all of them.

        Raises:
            UsageError: an id is unknown or deactivated, or there is no active team at all.
        """
        with self._database.reading() as session:
            _check_teams(session, team_ids or ())
            chosen = select(TeamRow.team_id).where(TeamRow.is_active).order_by(TeamRow.team_id)
            if team_ids:
                chosen = chosen.where(TeamRow.team_id.in_(team_ids))
            found = session.scalars(chosen).all()
            if not found:
                raise _no_team(session)
            keys = {
                row.team_id: self._team_key(row)
                for row in session.scalars(
                    select(KeyRow).where(KeyRow.key_type == ADMIN, KeyRow.is_active)
                )
            }
            return [CollectableTeam(team_id, keys.get(team_id)) for team_id in found]

    def _store(
        self, session: Session, team_id: str, key: str, organization_id: str | None
    ) -> KeyStatus:
        any_active = session.scalar(select(KeyRow.key_id).where(KeyRow.is_active).limit(1))
        self._wrapper.prepare(keys_depend_on_it=any_active is not None)
        context = KeyContext(team_id, ADMIN, self._api_host)
        sealed = envelope.seal(key, context, self._wrapper)
        now = datetime.now(UTC)
        row = KeyRow(
            key_id=str(uuid4()),
            team_id=team_id,
            key_type=ADMIN,
            provider="openai",
            encrypted_key=sealed.encrypted_key,
            encrypted_data_key=sealed.encrypted_data_key,
            iv=sealed.iv,
            last4=envelope.last4(key),
            fingerprint=envelope.fingerprint(key),
            api_host=self._api_host,
            organization_id=organization_id,
            wrapped_by=sealed.wrapped_by,
            is_active=True,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
        return _status(row)

    def _team_key(self, row: KeyRow) -> TeamKey:
        sealed = SealedKey(row.encrypted_key, row.encrypted_data_key, row.iv, row.wrapped_by)
        # The host is the configured one: the stored one only helps to say what is wrong.
        context = KeyContext(row.team_id, row.key_type, self._api_host)
        decrypt = partial(_open, sealed, context, self._wrapper, row.api_host)
        return TeamKey(row.key_id, row.fingerprint, row.organization_id, decrypt)


def _open(sealed: SealedKey, context: KeyContext, wrapper: KeyWrapper, stored_host: str) -> str:
    if stored_host != context.api_host:
        raise FinopsError(
            f"The {context.key_type} key of team {context.team_id} was registered for the API host "
            f"{stored_host} and does not open for {context.api_host}.",
            "Correct FINOPS_OPENAI_BASE_URL, or store a key for this host with "
            f"`finops key rotate {context.team_id}`.",
        )
    return envelope.unseal(sealed, context, wrapper)


def _active_admin_row(session: Session, team_id: str) -> KeyRow | None:
    return session.scalar(
        select(KeyRow).where(KeyRow.team_id == team_id, KeyRow.key_type == ADMIN, KeyRow.is_active)
    )


def _required_admin_row(session: Session, team_id: str) -> KeyRow:
    row = _active_admin_row(session, team_id)
    if row is None:
        raise UsageError(
            f"Team {team_id!r} has no active admin key.",
            f"Register one with `finops key register {team_id}`.",
        )
    return row


def _deactivate(session: Session, row: KeyRow) -> None:
    row.is_active = False
    row.deactivated_at = row.updated_at = datetime.now(UTC)
    session.flush()


def _status(row: KeyRow) -> KeyStatus:
    return KeyStatus(**{field.name: getattr(row, field.name) for field in fields(KeyStatus)})


def _check_teams(session: Session, team_ids: Sequence[str]) -> None:
    problems = []
    for team_id in dict.fromkeys(team_ids):
        try:
            active_team_row(session, team_id)
        except UsageError as error:
            problems.append(error)
    if problems:
        raise UsageError(" ".join(error.message for error in problems), problems[0].fix)


def _no_team(session: Session) -> UsageError:
    if session.scalar(select(TeamRow.team_id).limit(1)) is None:
        return UsageError(
            "No team is registered, so there is nothing to collect.",
            "Register one with `finops team add TEAM`, then its key with "
            "`finops key register TEAM`.",
        )
    return UsageError(
        "Every registered team is deactivated, so there is nothing to collect.",
        "Register another one with `finops team add TEAM`.",
    )
