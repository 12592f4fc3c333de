"""What the registry hands out: plain values, detached from its database.

Times are aware and in UTC, dates are UTC days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Team:
    """A team as it is now."""

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
class Project:
    """A project as it is now, with the team of its open ownership period.

    ``valid_from`` is the first day of that period; null means since ever.
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
    """What may be shown of a stored key."""

    team_id: str
    key_type: str
    last4: str
    is_active: bool
    organization_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class TeamKey:
    """A team's active admin key, still encrypted.

    It holds ciphertext and the way to open it, never the plaintext, and shows neither.
    """

    key_id: str
    fingerprint: str
    organization_id: str | None
    _decrypt: Callable[[], str] = field(repr=False, compare=False)

    def reveal(self) -> str:
        """Decrypt the key now; the result is not kept here.

        Raises:
            FinopsError: it does not open: another key file, another API host, or a changed row.
        """
        return self._decrypt()


@dataclass(frozen=True)
class CollectableTeam:
    """An active team and its active admin key; ``key`` is None where it has none."""

    team_id: str
    key: TeamKey | None


@dataclass(frozen=True)
class RegistrySnapshot:
    """The registry at one moment as Arrow tables, without any key material."""

    teams: pa.Table
    projects: pa.Table
    project_ownership: pa.Table
    keys: pa.Table
