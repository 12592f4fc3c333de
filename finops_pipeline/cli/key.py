"""`finops key`: keys go in by standard input, hidden prompt or variable; none comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finops_pipeline.cli.changes import subject_text
from finops_pipeline.cli.key_input import KeyGroup, read_key, refuse_surplus
from finops_pipeline.cli.opened import OnBehalfOfOption, opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one, print_entries, warn
from finops_pipeline.errors import UsageError
from finops_pipeline.registry import KeyStatus
from finops_pipeline.registry.rules import is_usual_admin_key, is_usual_project_key
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry
    from finops_pipeline.registry.records import KeyFindings, KnownOfTeam

COLUMNS = (
    "team_id",
    "key_type",
    "last4",
    "is_active",
    "organization_id",
    "created_at",
    "updated_at",
)

REWRAP_COLUMNS = (
    "team_id",
    "key_type",
    "project_id",
    "last4",
    "wrapped_by",
    "result",
    "detail",
)
PARTIAL = 3
"""Exit code: some keys could not be wrapped anew, the others were."""


class KeyType(StrEnum):
    """What a key may read: a whole organization's costs, or one project's legacy usage."""

    ADMIN = "admin"
    PROJECT = "project"


app = typer.Typer(
    cls=KeyGroup,
    no_args_is_help=True,
    help="Store teams' admin keys and projects' keys, encrypted. A key is never an argument.",
)

# Surplus arguments reach the command, which refuses them without repeating them.
_SURPLUS_ALLOWED = {"allow_extra_args": True}

TeamId = Annotated[str, typer.Argument(metavar="TEAM", help="The team's id.")]
Type = Annotated[KeyType, typer.Option("--type", help="What kind of key it is.")]
ProjectId = Annotated[
    str | None,
    typer.Option("--project", metavar="P", help="Whose key it is, with --type project."),
]
FromEnv = Annotated[
    str | None,
    typer.Option(
        "--from-env",
        metavar="VAR",
        help="The NAME of an environment variable that holds the key; without it, the key is read "
        "from standard input, or from a hidden prompt on a terminal.",
    ),
]
NoValidate = Annotated[
    bool,
    typer.Option(
        "--no-validate",
        help="Store an admin key without trying it out at OpenAI; the audit log says so. Project "
        "keys are never tried out.",
    ),
]


@app.command("register", context_settings=_SURPLUS_ALLOWED)
def register(
    ctx: typer.Context,
    team_id: TeamId,
    key_type: Type = KeyType.ADMIN,
    project_id: ProjectId = None,
    from_env: FromEnv = None,
    no_validate: NoValidate = False,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Try out and store a team's first admin key, or a project's first key."""
    refuse_surplus(ctx)
    _check_options(key_type, project_id)
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        key = read_key(from_env, key_type)
        trial = None if no_validate or key_type is KeyType.PROJECT else Trial(team_id)
        status = registry.register_key(team_id, key, project_id=project_id, check=trial)
    _warn_if_unusual(key, key_type)
    _say(status, trial, json=json, done="is registered")


@app.command("rotate", context_settings=_SURPLUS_ALLOWED)
def rotate(
    ctx: typer.Context,
    team_id: TeamId,
    key_type: Type = KeyType.ADMIN,
    project_id: ProjectId = None,
    from_env: FromEnv = None,
    no_validate: NoValidate = False,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Try out a new key, then put it in the place of the stored one."""
    refuse_surplus(ctx)
    _check_options(key_type, project_id)
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        key = read_key(from_env, key_type)
        trial = None if no_validate or key_type is KeyType.PROJECT else Trial(team_id)
        status = registry.rotate_key(team_id, key, project_id=project_id, check=trial)
    _warn_if_unusual(key, key_type)
    _say(status, trial, json=json, done="is in the place of the former one")


@app.command("deactivate", context_settings=_SURPLUS_ALLOWED)
def deactivate(
    ctx: typer.Context,
    team_id: TeamId,
    key_type: Type = KeyType.ADMIN,
    project_id: ProjectId = None,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """End the use of a key here; revoke it at OpenAI as well."""
    refuse_surplus(ctx)
    _check_options(key_type, project_id)
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        status = registry.deactivate_key(team_id, project_id=project_id)
    sentence = f"{_named(status)} is deactivated here."
    emit_one(asdict(status), _columns(key_type), json=json, sentence=sentence)


@app.command("status", context_settings=_SURPLUS_ALLOWED)
def status(
    ctx: typer.Context,
    team_id: TeamId,
    key_type: Type = KeyType.ADMIN,
    project_id: ProjectId = None,
    json: JsonOption = False,
) -> None:
    """Show a team's admin keys, or its projects' keys, by their last four characters."""
    refuse_surplus(ctx)
    if project_id is not None:
        _check_options(key_type, project_id)
    with opened_registry() as registry:
        keys = [
            asdict(key)
            for key in registry.key_status(team_id)
            if key.key_type == key_type and project_id in (None, key.project_id)
        ]
    emit(keys, _columns(key_type), json=json, title=f"Keys of team {team_id}")


@app.command("rewrap", context_settings=_SURPLUS_ALLOWED)
def rewrap(
    ctx: typer.Context,
    team_id: Annotated[
        str | None, typer.Option("--team", metavar="TEAM", help="Only this team's keys.")
    ] = None,
    on_behalf_of: OnBehalfOfOption = None,
    json: JsonOption = False,
) -> None:
    """Encrypt all active keys anew under the configured wrapping key.

    That is the AWS KMS key of FINOPS_KMS_KEY_ID, or the local key file. Each key is changed on its
    own, so the command can be run again, whatever broke it off.
    """
    refuse_surplus(ctx)
    from finops_pipeline.registry.envelope import UndecryptableError

    done = []
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        for key in _with_progress(registry.active_keys(team_id)):
            row = asdict(key) | {"result": "unchanged", "detail": ""}
            try:
                changed = registry.rewrap_key(key.key_id)
            except UndecryptableError as error:
                row |= {"result": "failed", "detail": str(error)}
            else:
                row |= asdict(changed) | {"result": "rewrapped"} if changed else {}
            done.append(row)
        if team_id is None:
            done += _with_pseudonyms(registry)
    results = [row["result"] for row in done]
    if json:
        emit(done, REWRAP_COLUMNS, json=True, title="")
    else:
        print_entries(
            "Keys and what wraps them now" if done else "No active key.", map(_rewrapped, done)
        )
    if "failed" in results:
        raise typer.Exit(PARTIAL if len(set(results)) > 1 else 1)


class Trial:
    """Tries a key out at OpenAI, and remembers what that has shown."""

    def __init__(self, team_id: str) -> None:
        self._team_id = team_id
        self.findings: KeyFindings | None = None

    def __call__(self, key: str, known: KnownOfTeam) -> KeyFindings:
        from rich.console import Console

        from finops_pipeline.registry.validation import admin_client, check_with_openai

        check = check_with_openai(self._team_id, admin_client(load_settings()))
        with Console(stderr=True).status("Trying the key out at OpenAI"):
            self.findings = check(key, known)
        return self.findings


def _with_pseudonyms(registry: Registry) -> list[dict[str, Any]]:
    """The row of :func:`rewrap` about the key of user pseudonyms, where there is one."""
    from finops_pipeline.registry.envelope import UndecryptableError

    row: dict[str, Any] = dict.fromkeys(REWRAP_COLUMNS) | {"key_type": "pseudonym", "detail": ""}
    try:
        status = registry.rewrap_pseudonym_key()
    except UndecryptableError as error:
        return [row | {"result": "failed", "detail": str(error)}]
    if status is None:
        return []
    result = "rewrapped" if status.rewrapped else "unchanged"
    return [row | {"result": result, "wrapped_by": status.wrapped_by}]


def _rewrapped(row: Mapping[str, Any]) -> tuple[str, str]:
    """A row of :func:`rewrap` in words."""
    which = (
        "key of user pseudonyms"
        if row["team_id"] is None
        else f"{subject_text(row['team_id'], row['project_id'])}  {row['key_type']} key ending in "
        f"{row['last4']}"
    )
    return f"{row['result']}  {which}", row["detail"] or row["wrapped_by"]


def _with_progress(keys: Sequence[KeyStatus]) -> Iterator[KeyStatus]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    yield from track(keys, "Wrapping keys anew", console=console, transient=True, disable=hidden)


def _check_options(key_type: KeyType, project_id: str | None) -> None:
    if (key_type is KeyType.PROJECT) != (project_id is not None):
        raise UsageError(
            "A project's key is named by two options together.",
            "Give `--type project --project P`, or neither of them for the team's admin key.",
        )


def _warn_if_unusual(key: str, key_type: KeyType) -> None:
    if key_type is KeyType.ADMIN and not is_usual_admin_key(key):
        warn(
            "the key does not look like OpenAI's admin keys (sk-admin-…); it is stored all the "
            "same, but collecting costs takes an admin key."
        )
    if key_type is KeyType.PROJECT and not is_usual_project_key(key):
        warn("the key does not look like OpenAI's project keys (sk-proj-…); it is stored anyway.")


def _say(status: KeyStatus, trial: Trial | None, *, json: bool, done: str) -> None:
    """Print what was stored, and what the trial has shown."""
    row, columns = asdict(status), _columns(KeyType(status.key_type))
    sentence = f"{_named(status)} {done}."
    if trial is None or trial.findings is None:
        sentence += " It was not tried out."
    else:
        scopes = ", ".join(trial.findings.scopes)
        opened = status.organization_id or "one that did not tell its id"
        sentence += f" It opens the organization {opened}, with the scopes {scopes}."
        row, columns = row | {"scopes": trial.findings.scopes}, (*columns, "scopes")
        for warning in trial.findings.warnings:
            warn(f"{warning}.")
    emit_one(row, columns, json=json, sentence=sentence)


def _named(status: KeyStatus) -> str:
    of_project = f", project {status.project_id}," if status.project_id else ""
    return (
        f"The {status.key_type} key of team {status.team_id}{of_project} ending in {status.last4}"
    )


def _columns(key_type: KeyType) -> tuple[str, ...]:
    return COLUMNS if key_type is KeyType.ADMIN else (*COLUMNS, "project_id")
