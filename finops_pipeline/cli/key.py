"""`finops key`: keys go in by standard input, hidden prompt or variable; none comes out."""

from __future__ import annotations

import getpass
import os
import sys
import warnings
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from typer.core import TyperGroup

from finops_pipeline.cli.opened import opened_registry
from finops_pipeline.cli.output import JsonOption, emit, emit_one, warn
from finops_pipeline.errors import UsageError
from finops_pipeline.registry import KeyStatus
from finops_pipeline.registry.rules import MAX_KEY_LENGTH, is_usual_admin_key, looks_like_key

COLUMNS = (
    "team_id",
    "key_type",
    "last4",
    "is_active",
    "organization_id",
    "created_at",
    "updated_at",
)


class KeyGroup(TyperGroup):
    """Refuses a key among the arguments before any parser can repeat it in an error of its own."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if any(map(looks_like_key, args)):
            raise _key_as_argument()
        return super().parse_args(ctx, args)


class KeyType(StrEnum):
    """What a key may read."""

    ADMIN = "admin"


app = typer.Typer(
    cls=KeyGroup,
    no_args_is_help=True,
    help="Store teams' admin keys, encrypted. A key is never an argument.",
)

# Surplus arguments reach the command, which refuses them without repeating them.
_SURPLUS_ALLOWED = {"allow_extra_args": True}

TeamId = Annotated[str, typer.Argument(metavar="TEAM", help="The team's id.")]
Type = Annotated[KeyType, typer.Option("--type", help="What kind of key it is.")]
FromEnv = Annotated[
    str | None,
    typer.Option(
        "--from-env",
        metavar="VAR",
        help="The NAME of an environment variable that holds the key; without it, the key is read "
        "from standard input, or from a hidden prompt on a terminal.",
    ),
]


@app.command("register", context_settings=_SURPLUS_ALLOWED)
def register(
    ctx: typer.Context,
    team_id: TeamId,
    _key_type: Type = KeyType.ADMIN,
    from_env: FromEnv = None,
    json: JsonOption = False,
) -> None:
    """Store a team's first admin key."""
    _refuse_surplus(ctx)
    with opened_registry() as registry:
        key = _read_key(from_env)
        status = registry.register_key(team_id, key)
    _warn_if_unusual(key)
    _say(status, json=json, done="is registered")


@app.command("rotate", context_settings=_SURPLUS_ALLOWED)
def rotate(
    ctx: typer.Context,
    team_id: TeamId,
    from_env: FromEnv = None,
    json: JsonOption = False,
) -> None:
    """Put a new admin key in the place of the stored one."""
    _refuse_surplus(ctx)
    with opened_registry() as registry:
        key = _read_key(from_env)
        status = registry.rotate_key(team_id, key)
    _warn_if_unusual(key)
    _say(status, json=json, done="is in the place of the former one")


@app.command("deactivate", context_settings=_SURPLUS_ALLOWED)
def deactivate(ctx: typer.Context, team_id: TeamId, json: JsonOption = False) -> None:
    """End the use of a team's admin key here; revoke it at OpenAI as well."""
    _refuse_surplus(ctx)
    with opened_registry() as registry:
        status = registry.deactivate_key(team_id)
    _say(status, json=json, done="is deactivated here")


@app.command("status", context_settings=_SURPLUS_ALLOWED)
def status(ctx: typer.Context, team_id: TeamId, json: JsonOption = False) -> None:
    """Show a team's keys by their last four characters, the active one first."""
    _refuse_surplus(ctx)
    with opened_registry() as registry:
        keys = registry.key_status(team_id)
    emit([asdict(key) for key in keys], COLUMNS, json=json, title=f"Keys of team {team_id}")


def _read_key(from_env: str | None) -> str:
    if from_env is not None:
        value = os.environ.get(from_env)
        if value is None:
            # Not repeated: it may be the key itself, given in the wrong place.
            raise UsageError(
                "The environment variable named by --from-env is not set.",
                "Give the NAME of a variable that holds the key, and export it.",
            )
        return value
    if sys.stdin.isatty():
        return _prompted_key()
    given = sys.stdin.buffer.read(MAX_KEY_LENGTH + 3)  # room for a line's end, and one too many
    # Latin-1 never fails: an error of the decoder would carry the key's bytes. Whatever is not
    # ASCII is refused by the registry.
    text = given.decode("latin-1")
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def _prompted_key() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass("Admin key (not shown): ")
        except getpass.GetPassWarning:
            raise UsageError(
                "This terminal cannot hide what is typed.",
                "Pipe the key into standard input, or use --from-env.",
            ) from None
        except EOFError:
            return ""


def _warn_if_unusual(key: str) -> None:
    if not is_usual_admin_key(key):
        warn(
            "the key does not look like OpenAI's admin keys (sk-admin-…); it is stored all the "
            "same, but collecting costs takes an admin key."
        )


def _say(status: KeyStatus, *, json: bool, done: str) -> None:
    sentence = f"The admin key of team {status.team_id} ending in {status.last4} {done}."
    emit_one(asdict(status), COLUMNS, json=json, sentence=sentence)


def _refuse_surplus(ctx: typer.Context) -> None:
    if ctx.args:
        raise _key_as_argument()


def _key_as_argument() -> UsageError:
    return UsageError(
        "Only a team and options may be given here. A key is never an argument, because the "
        "shell's history and the list of processes would keep it.",
        "Pipe it into standard input, type it at the prompt or name a variable with --from-env; "
        "if this was a real key, replace it at OpenAI.",
    )
