"""All checks in order: the installation first, then every team on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from finops_pipeline.doctor import keys, projects, storage
from finops_pipeline.doctor.check import Check, Status, fail, guarded, ok, warn
from finops_pipeline.doctor.teams import Case, Examined, clock_skew, examine_team
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import CollectableTeam, Registry

OnProgress = Callable[[int, int], None]
"""Told how many teams are examined, and of how many."""


def diagnose(
    read_settings: Callable[[], Settings] = load_settings,
    *,
    team_id: str | None = None,
    on_progress: OnProgress = lambda _done, _of: None,
) -> list[Check]:
    """Make every check that can be made. Nothing is repaired and no check hides another.

    Args:
        read_settings: Where the settings come from.
        team_id: Only this team's keys and projects, beside what all teams share.
        on_progress: See :data:`OnProgress`.

    Raises:
        UsageError: the team is unknown or deactivated.
    """
    try:
        settings = read_settings()
    except FinopsError as error:
        return [fail("settings", error.message, error.fix)]
    checks = [ok("settings", f"Usable; data in {settings.data_dir}.")]
    with ExitStack() as stack:
        opened: list[Registry] = []
        checks += guarded("registry", _registry(settings, stack, opened))
        for registry in opened:
            checks += _of_teams(team_id, registry, settings, on_progress)
    checks += guarded("projects_registered", projects.projects_registered(settings))
    checks += guarded("published", storage.published(settings, datetime.now(UTC)))
    checks += guarded("warehouse_writable", storage.warehouse_writable(settings))
    checks += guarded("dagster_storage", storage.dagster_storage(settings))
    checks += guarded("disk_space", storage.disk_space(settings))
    return sorted(checks, key=lambda check: check.team_id or "")


def _registry(settings: Settings, stack: ExitStack, opened: list[Registry]) -> Iterator[Check]:
    """Open the registry, into ``opened`` where there is anything in it."""
    from finops_pipeline.registry import open_registry

    begin = warn(
        "registry",
        "No active team is registered.",
        "Begin with `finops team add TEAM`, then `finops key register TEAM`, then `finops run`.",
    )
    if settings.registry_url is None and not settings.registry_path.exists():
        yield begin
        return
    registry = stack.enter_context(open_registry(settings))
    teams = [team for team in registry.list_teams() if team.is_active]
    if not teams:
        yield begin
        return
    opened.append(registry)
    yield ok("registry", f"It answers, with this program's schema; active teams: {len(teams)}.")


def _of_teams(
    team_id: str | None, registry: Registry, settings: Settings, on_progress: OnProgress
) -> list[Check]:
    try:
        teams = registry.collectable_teams(None if team_id is None else [team_id])
    except UsageError:
        raise
    except FinopsError as error:  # PostgreSQL shows no ciphertext to its role for readers
        return [fail("keys_readable", error.message, error.fix)]
    cases: list[Case] = []
    checks = guarded("registry", _read(teams, registry, cases))
    examined = _examined(cases, registry, settings, on_progress)
    of_teams = [check for team in examined for check in team.checks]
    checks += _wrapping_key(settings, teams, of_teams)
    checks += guarded("key_file_place", keys.key_file_place(settings))
    checks += guarded("clock_skew", clock_skew(examined))
    return checks + of_teams


def _read(
    teams: Sequence[CollectableTeam], registry: Registry, cases: list[Case]
) -> Iterator[Check]:
    """What is registered of the teams, into ``cases``."""
    owned = [project for project in registry.list_projects() if project.is_active]
    active = registry.active_keys()
    for team in teams:
        mine = [project for project in owned if project.team_id == team.team_id]
        of_projects = [key.project_id for key in active if key.team_id == team.team_id]
        cases.append(Case(team, mine, [each for each in of_projects if each is not None]))
    yield from projects.teams_with_key(teams)
    yield from projects.projects_with_openai_id([each for case in cases for each in case.projects])


def _examined(
    cases: Sequence[Case], registry: Registry, settings: Settings, on_progress: OnProgress
) -> list[Examined]:
    on_progress(0, len(cases))
    with ThreadPoolExecutor(settings.max_concurrent_teams, "doctor") as pool:
        waiting = [pool.submit(examine_team, case, registry, settings) for case in cases]
        for done, _ in enumerate(as_completed(waiting), 1):
            on_progress(done, len(cases))
    return [future.result() for future in waiting]


def _wrapping_key(
    settings: Settings, teams: Sequence[CollectableTeam], of_teams: Sequence[Check]
) -> list[Check]:
    """The wrapping key; where stored keys open all the same, only new ones cannot be stored."""
    found = guarded("wrapping_key", keys.wrapping_key(settings, teams))
    if not any(each.name == "key_decrypts" and each.status is Status.OK for each in of_teams):
        return found
    return [
        replace(check, status=Status.WARN, detail=f"Stored keys open, but: {check.detail}")
        if check.status is Status.FAIL
        else check
        for check in found
    ]
