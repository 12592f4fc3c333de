"""What the registry hands out: plain values, detached from its database.

Times are aware and in UTC, dates are UTC days.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def _system_user() -> str:
    user_id = os.getuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:  # a container may run as a user without a name
        return f"uid {user_id}"


@dataclass(frozen=True)
class Team:
    """A team as it is today."""

    team_id: str
    team_name: str
    parent_team_id: str | None
    owner_email: str | None
    budget_owner_email: str | None
    cost_center: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True)
class TeamAttributes:
    """What is known of a team in one period."""

    team_name: str
    parent_team_id: str | None
    owner_email: str | None
    budget_owner_email: str | None
    cost_center: str | None


@dataclass(frozen=True)
class ProjectAttributes:
    """What is known of a project in one period."""

    project_name: str
    environment: str | None
    owner_email: str | None
    cost_center: str | None
    tags: dict[str, str]


@dataclass(frozen=True)
class Project:
    """A project as it is today, with the team that owns it.

    ``valid_from`` is the first day of that team's period; null means since ever.
    """

    project_id: str
    project_name: str
    team_id: str
    openai_project_id: str
    environment: str | None
    owner_email: str | None
    cost_center: str | None
    tags: dict[str, str]
    is_active: bool
    valid_from: date | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class KeyStatus:
    """What may be shown of a stored key.

    ``project_id`` is that of a project key; ``wrapped_by`` names the wrapping key.
    """

    key_id: str
    team_id: str
    key_type: str
    project_id: str | None
    last4: str
    is_active: bool
    organization_id: str | None
    wrapped_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class TeamKey:
    """A team's active key, still encrypted; it opens while its registry is open.

    It holds ciphertext and the way to open it, never the plaintext, and shows neither.
    """

    key_id: str
    fingerprint: str
    organization_id: str | None
    _decrypt: Callable[[], str] = field(repr=False, compare=False)

    def reveal(self) -> str:
        """Decrypt the key now, which is recorded; the result is not kept here.

        Raises:
            FinopsError: it does not open: another wrapping key, another API host, a changed row,
                or it could not be recorded.
        """
        return self._decrypt()


@dataclass(frozen=True)
class KnownOfTeam:
    """What a new key of a team is compared with.

    Attributes:
        organization_id: What the team's newest admin key was found to open; None where that is
            not known.
        openai_project_ids: OpenAI's ids of the projects that the team owns or owned.
    """

    organization_id: str | None
    openai_project_ids: frozenset[str]


@dataclass(frozen=True)
class KeyFindings:
    """What a test call with a new key has shown.

    Attributes:
        organization_id: The organization that it opens; None where no answer named it.
        scopes: Those that it was seen to have.
        warnings: What is worth knowing, in sentences without a full stop.
    """

    organization_id: str | None
    scopes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CollectableTeam:
    """An active team and its active admin key; ``key`` is None where it has none."""

    team_id: str
    key: TeamKey | None


@dataclass(frozen=True)
class ProjectKey:
    """A project's active key, and OpenAI's id of the project that it is registered for."""

    project_id: str
    openai_project_id: str
    key: TeamKey


@dataclass(frozen=True)
class TeamWithProjectKeys:
    """An active team and the active keys of its projects, at least one, by project."""

    team_id: str
    keys: tuple[ProjectKey, ...]


@dataclass(frozen=True)
class RegistrySnapshot:
    """The registry at one moment as Arrow tables, without any key material."""

    teams: pa.Table
    projects: pa.Table
    team_attributes: pa.Table
    project_attributes: pa.Table
    project_ownership: pa.Table
    keys: pa.Table


@dataclass(frozen=True)
class Actor:
    """Who acts.

    Attributes:
        user: The operating-system user of this process, whatever the environment says.
        on_behalf_of: Whom that user says to act for.
        run_id: The run that acts, where it is one.
    """

    user: str = field(default_factory=_system_user)
    on_behalf_of: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One entry as it is stored; ``before`` and ``after`` are JSON objects or null."""

    sequence: int
    recorded_at: datetime
    actor: str
    on_behalf_of: str | None
    run_id: str | None
    action: str
    outcome: str
    team_id: str | None
    project_id: str | None
    key_id: str | None
    before: str | None
    after: str | None
    detail: str | None
    previous_hash: str
    entry_hash: str


@dataclass(frozen=True)
class Verification:
    """Whether the log is whole.

    Attributes:
        entries: How many there are.
        newest_hash: The hash of the newest; compare it with one that you noted elsewhere.
        problems: What is wrong, the oldest first; empty where nothing is.
    """

    entries: int
    newest_hash: str
    problems: tuple[str, ...]
