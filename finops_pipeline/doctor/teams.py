"""One team: whether its keys open, what OpenAI says to them, and which projects they see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from finops_pipeline.doctor.check import Check, fail, guarded, ok, warn
from finops_pipeline.doctor.projects import projects_visible
from finops_pipeline.errors import FinopsError
from finops_pipeline.openai_admin import AdminClient, OpenAIError, RetryPolicy
from finops_pipeline.openai_admin.access import RECENT_DAYS, Access, examine
from finops_pipeline.settings import Settings

if TYPE_CHECKING:
    from finops_pipeline.registry import CollectableTeam, Project, Registry, TeamKey

PATIENCE = RetryPolicy(
    attempts=2, total=15.0, first_wait=0.2, max_wait=2.0, jitter=0.2, connect=5.0, read=10.0
)
"""Somebody is waiting for the answer: a twentieth of what a run would wait."""

SKEW_TO_MENTION = timedelta(minutes=1)
SKEW_TO_MEND = timedelta(minutes=5)
"""From here on AWS, too, may refuse requests that this machine signs, as too old or too new."""


@dataclass(frozen=True)
class Case:
    """A team as it is registered.

    Attributes:
        team: The team and its admin key.
        projects: Active projects that it owns today.
        project_keys: Our ids of projects with an active key of their own.
    """

    team: CollectableTeam
    projects: Sequence[Project]
    project_keys: Sequence[str]


@dataclass(frozen=True)
class Examined:
    """What was found of one team.

    Attributes:
        checks: In the order in which they were made.
        skew: How far our clock is ahead of the API's; None where the API told no time.
    """

    checks: list[Check]
    skew: timedelta | None


def examine_team(case: Case, registry: Registry, settings: Settings) -> Examined:
    """Open the team's keys, ask OpenAI with its admin key, look for its projects.

    What an earlier failure makes pointless is left out. Each decryption is on record.
    """
    examination = _Examination(case, settings)
    team_id = case.team.team_id
    checks: list[Check] = []
    if case.team.key is not None:
        checks += guarded("key_decrypts", examination.of_admin_key(case.team.key), team_id=team_id)
    if case.project_keys:
        checks += guarded(
            "project_keys_decrypt", examination.of_project_keys(registry), team_id=team_id
        )
    return Examined(checks, examination.skew)


class _Examination:
    def __init__(self, case: Case, settings: Settings) -> None:
        self._team_id = case.team.team_id
        self._case = case
        self._settings = settings
        self.skew: timedelta | None = None

    def of_project_keys(self, registry: Registry) -> Iterator[Check]:
        name, team_id = "project_keys_decrypt", self._team_id
        for project_id in self._case.project_keys:
            key = registry.active_project_key(project_id)
            try:
                if key is not None:
                    key.reveal()
            except FinopsError as error:
                yield _shut(name, team_id, error)
                return
        yield ok(name, f"{len(self._case.project_keys)} project keys open.", team_id=team_id)

    def of_admin_key(self, key: TeamKey) -> Iterator[Check]:
        name = "key_decrypts"
        try:
            text = key.reveal()
        except FinopsError as error:
            yield _shut(name, self._team_id, error)
            return
        yield ok(name, "The admin key opens.", team_id=self._team_id)
        with AdminClient(
            team_id=self._team_id,
            base_url=self._settings.openai_base_url,
            api_key=lambda: text,
            retry=PATIENCE,
        ) as client:
            yield from guarded("costs_call", self._asked(client, key), team_id=self._team_id)

    def _asked(self, client: AdminClient, key: TeamKey) -> Iterator[Check]:
        try:
            access = examine(client)
        except OpenAIError as error:
            name = "scopes" if error.reason == "missing_scope" else "costs_call"
            yield fail(name, error.message, error.fix, team_id=self._team_id)
            return
        finally:
            if client.server_time:
                self.skew = datetime.now(UTC) - client.server_time
        yield from self._costs(access)
        yield self._scopes(access)
        if known := self._known_organization(access, key):
            yield known
        yield from guarded(
            "projects_visible",
            projects_visible(client, access, self._team_id, self._case.projects),
            team_id=self._team_id,
        )

    def _costs(self, access: Access) -> Iterator[Check]:
        name = "costs_call"
        if access.saw_costs:
            yield ok(name, "OpenAI answers with costs.", team_id=self._team_id)
        else:
            yield warn(
                name,
                f"OpenAI answers, and shows this key no spend in the last {RECENT_DAYS} days.",
                "If the team did spend, the key belongs to another organization: "
                f"`finops key rotate {self._team_id}`.",
                team_id=self._team_id,
            )

    def _scopes(self, access: Access) -> Check:
        told = "api.usage.read and api.management.read"
        if not access.may_list_projects:
            # Its first warning says why the projects could not be listed.
            told = f"api.usage.read; {access.warnings[0]}"
        return ok("scopes", f"{told}.", team_id=self._team_id)

    def _known_organization(self, access: Access, key: TeamKey) -> Check | None:
        seen, known = access.organization_id, key.organization_id
        if seen is None or known is None:
            return None
        if seen != known:
            return fail(
                "organization",
                f"The key opens the organization {seen}, and the team's is {known}.",
                f"Store a key of {known} with `finops key rotate {self._team_id}`.",
                team_id=self._team_id,
            )
        return ok("organization", f"The key opens {known}, as registered.", team_id=self._team_id)


def _shut(name: str, team_id: str, error: FinopsError) -> Check:
    return fail(
        name,
        f"Decryption fails: {error.message}",
        error.fix,
        team_id=team_id,
    )


def clock_skew(examined: Sequence[Examined]) -> Iterator[Check]:
    """Our clock against the Date of OpenAI's answers; the least difference is the truest."""
    name = "clock_skew"
    skews = [team.skew for team in examined if team.skew is not None]
    if not skews:
        return
    skew = min(skews, key=abs)
    told = f"This machine's clock and OpenAI's differ by {abs(skew).total_seconds():.0f} s"
    fix = "Set this machine's clock, and let it be kept right (NTP)."
    if abs(skew) >= SKEW_TO_MEND:
        side = "ahead" if skew > timedelta(0) else "behind"
        yield fail(name, f"{told}: it is {side}, so wrong days count as over.", fix)
    elif abs(skew) >= SKEW_TO_MENTION:
        yield warn(name, f"{told}.", fix)
    else:
        yield ok(name, f"{told}.")
