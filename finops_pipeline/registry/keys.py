"""API keys: what is stored of them, and how one is opened, on record.

A place is a team, for its admin key, or a project, for its project key; each has one active key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from threading import Lock

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, undefer_group

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import envelope
from finops_pipeline.registry.audit import Audited, Subject
from finops_pipeline.registry.envelope import KeyContext, KeyWrapper, SealedKey, UndecryptableError
from finops_pipeline.registry.models import KeyRow, ProjectRow, TeamRow
from finops_pipeline.registry.projects import project_row
from finops_pipeline.registry.records import (
    CollectableTeam,
    KeyStatus,
    ProjectKey,
    TeamKey,
    TeamWithProjectKeys,
)
from finops_pipeline.registry.teams import active_team_row, team_row

ADMIN = "admin"
PROJECT = "project"


class Keys(Audited):
    """The registry's part about stored keys. No method returns, logs or raises a key's text."""

    _wrapper: KeyWrapper
    _api_host: str
    _recording: Lock

    def active_keys(self, team_id: str | None = None) -> list[KeyStatus]:
        """The active keys of one team or of all, of every type, by team.

        Raises:
            UsageError: the team is unknown.
        """
        query = select(KeyRow).where(KeyRow.is_active)
        if team_id is not None:
            query = query.where(KeyRow.team_id == team_id)
        with self._database.reading() as session:
            if team_id is not None:
                team_row(session, team_id)
            rows = session.scalars(query.order_by(KeyRow.team_id, KeyRow.project_id, KeyRow.key_id))
            return [status(row) for row in rows]

    def key_status(self, team_id: str) -> list[KeyStatus]:
        """A team's keys of every type, the active ones first, each the newest first.

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
            return [status(row) for row in rows]

    def active_admin_key(self, team_id: str) -> TeamKey | None:
        """The team's active admin key as stored now; None where it has none.

        Raises:
            UsageError: the team is unknown.
        """
        with self._database.reading() as session:
            team_row(session, team_id)
            row = active_row(session, self._context(team_id, None))
            return None if row is None else self._team_key(row)

    def active_project_key(self, project_id: str) -> TeamKey | None:
        """The project's active key as stored now; None where it has none.

        Raises:
            UsageError: the project is unknown.
        """
        with self._database.reading() as session:
            project_row(session, project_id)
            row = active_row(session, self._context("", project_id))
            return None if row is None else self._team_key(row)

    def collectable_teams(self, team_ids: Sequence[str] | None) -> list[CollectableTeam]:
        """The active teams with their active admin keys, by id; None or no id means all of them.

        Raises:
            UsageError: an id is unknown or deactivated, or there is no active team at all.
        """
        with self._database.reading() as session:
            found = _active_teams(session, team_ids)
            keys = {
                row.team_id: self._team_key(row)
                # At once for all teams, where it would be a question more for each.
                for row in session.scalars(_active(ADMIN).options(undefer_group("ciphertext")))
            }
            return [CollectableTeam(team_id, keys.get(team_id)) for team_id in found]

    def teams_with_project_keys(self, team_ids: Sequence[str] | None) -> list[TeamWithProjectKeys]:
        """The active teams that have active project keys, by id; None or no id means all of them.

        A key belongs to the team that it was registered for, whoever owns the project since.

        Raises:
            UsageError: as :meth:`collectable_teams`; a team without such a key is left out.
        """
        with self._database.reading() as session:
            found = _active_teams(session, team_ids)
            keys: dict[str, list[ProjectKey]] = defaultdict(list)
            query = (
                select(KeyRow, ProjectRow.project_id, ProjectRow.openai_project_id)
                .join(ProjectRow, ProjectRow.project_id == KeyRow.project_id)
                .where(KeyRow.key_type == PROJECT, KeyRow.is_active)
                .order_by(KeyRow.project_id)
                .options(undefer_group("ciphertext"))
            )
            for row, project_id, openai_project_id in session.execute(query):
                key = ProjectKey(project_id, openai_project_id, self._team_key(row))
                keys[row.team_id].append(key)
            return [
                TeamWithProjectKeys(team_id, tuple(keys[team_id]))
                for team_id in found
                if team_id in keys
            ]

    def _context(self, team_id: str, project_id: str | None) -> KeyContext:
        # The host is the configured one: the stored one only helps to say what is wrong.
        key_type = ADMIN if project_id is None else PROJECT
        return KeyContext(team_id, key_type, self._api_host, project_id)

    def _team_key(self, row: KeyRow) -> TeamKey:
        sealed = SealedKey(row.encrypted_key, row.encrypted_data_key, row.iv, row.wrapped_by)
        context = self._context(row.team_id, row.project_id)
        decrypt = partial(self._open, row.key_id, sealed, context, row.api_host)
        return TeamKey(row.key_id, row.fingerprint, row.organization_id, decrypt)

    def _open(self, key_id: str, sealed: SealedKey, context: KeyContext, stored_host: str) -> str:
        """Decrypt a key; it is given out only once that is on record."""
        subject = Subject(context.team_id, context.project_id, key_id)
        with self._attempt("key.decrypt", subject) as attempt:
            if stored_host != context.api_host:
                raise UndecryptableError(
                    f"The {context.whose} was registered for the API host {stored_host} and does "
                    f"not open for {context.api_host}.",
                    "Correct FINOPS_OPENAI_BASE_URL, or store a key for this host with "
                    f"`{context.rotation}`.",
                )
            key = envelope.unseal(sealed, context, self._wrapper)
            # The database polls for its turn, and of many teams' threads some would get none.
            with self._recording, attempt.writing() as session:
                attempt.record(session)
        return key


def active_row(session: Session, context: KeyContext) -> KeyRow | None:
    """The active key of the context's team, or of its project where it has one."""
    place = (
        KeyRow.team_id == context.team_id
        if context.project_id is None
        else KeyRow.project_id == context.project_id
    )
    return session.scalar(_active(context.key_type).where(place))


def _active(key_type: str) -> Select[KeyRow]:
    return select(KeyRow).where(KeyRow.key_type == key_type, KeyRow.is_active)


def status(row: KeyRow) -> KeyStatus:
    """What may be shown of a stored key."""
    return KeyStatus(**{field.name: getattr(row, field.name) for field in fields(KeyStatus)})


def _active_teams(session: Session, team_ids: Sequence[str] | None) -> Sequence[str]:
    """The active teams of these ids, or all of them.

    Raises:
        UsageError: an id is unknown or deactivated, or there is no active team at all.
    """
    _check_teams(session, team_ids or ())
    chosen = select(TeamRow.team_id).where(TeamRow.is_active).order_by(TeamRow.team_id)
    if team_ids:
        chosen = chosen.where(TeamRow.team_id.in_(team_ids))
    found = session.scalars(chosen).all()
    if not found:
        raise _no_team(session)
    return found


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
