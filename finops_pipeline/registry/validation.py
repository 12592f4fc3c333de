"""A new admin key is tried out before it is stored: does it open the team's organization?

OpenAI answers a stranger's key without a complaint, with empty days. So a key of a team of which
something is known has to show it: the organization, one of the team's projects, or at least spend.
"""

from __future__ import annotations

from collections.abc import Callable

from finops_pipeline.openai_admin import AdminClient, OpenAIError, RetryPolicy
from finops_pipeline.openai_admin.access import Access, examine, sees_any_project
from finops_pipeline.registry.key_changes import Check
from finops_pipeline.registry.records import KeyFindings, KnownOfTeam
from finops_pipeline.settings import Settings

MakeClient = Callable[[str, Callable[[], str]], AdminClient]
"""Makes the client of a team from its id and a function that gives the key."""

PATIENCE = RetryPolicy(
    attempts=3, total=30.0, first_wait=0.2, max_wait=2.0, jitter=0.2, connect=5.0, read=20.0
)
"""Somebody is waiting for the answer: a tenth of what a run would wait."""

READS_COSTS = "api.usage.read"
LISTS_PROJECTS = "api.management.read"

_WITHOUT = "store the key without this test with --no-validate"
_FIXES = {
    "bad_key": "Copy an admin key whole from OpenAI's organization settings, and give that.",
    "missing_scope": f"Give an admin key that has the scope {READS_COSTS}; a project key has not.",
    "wrong_organization": "Give an admin key of the team's own organization.",
}


def admin_client(settings: Settings) -> MakeClient:
    """Makes clients of the configured API for somebody who is waiting."""

    def make(team_id: str, api_key: Callable[[], str]) -> AdminClient:
        return AdminClient(
            team_id=team_id, base_url=settings.openai_base_url, api_key=api_key, retry=PATIENCE
        )

    return make


def check_with_openai(team_id: str, make_client: MakeClient) -> Check:
    """A check that lists the key's projects and reads its costs of the last 31 days.

    The check raises OpenAIError: the key reads no costs, opens another organization than the
    team's known one, or shows nothing of a team of which something is known.
    """

    def check(key: str, known: KnownOfTeam) -> KeyFindings:
        try:
            with make_client(team_id, lambda: key) as client:
                return _findings(team_id, client, known)
        except OpenAIError as error:
            fix = _FIXES.get(error.reason, f"Try again later, or {_WITHOUT}.")
            raise OpenAIError(error.reason, f"{error.message} Nothing was stored.", fix) from None

    return check


def _findings(team_id: str, client: AdminClient, known: KnownOfTeam) -> KeyFindings:
    access = examine(client)
    warnings = [*access.warnings]
    found, expected = access.organization_id, known.organization_id
    if found and expected and found != expected:
        raise OpenAIError(
            "wrong_organization",
            f"The key opens the organization {found}, and team '{team_id}' belongs to {expected}.",
            "",
        )
    if not (found and expected) and (expected or known.openai_project_ids):
        warnings += _shows_the_team(team_id, client, access, known)
        found = found or expected
    scopes = (READS_COSTS, *([LISTS_PROJECTS] if access.may_list_projects else []))
    return KeyFindings(found, scopes, tuple(warnings))


def _shows_the_team(
    team_id: str, client: AdminClient, access: Access, known: KnownOfTeam
) -> list[str]:
    """See that the key is the team's where organizations cannot be compared.

    Raises:
        OpenAIError: it shows nothing of the team.
    """
    projects = known.openai_project_ids
    seen = sees_any_project(client, projects, access=access) if projects else None
    if seen or (seen is None and access.saw_costs):
        unproven = "no answer shows that the key opens the team's organization"
        return [] if seen else [unproven]
    hidden = f"none of its {len(projects)} registered OpenAI projects" if projects else "no spend"
    raise OpenAIError(
        "wrong_organization",
        f"OpenAI accepts the key, but shows it nothing of team '{team_id}': {hidden}. It probably "
        "opens another organization.",
        "",
    )
