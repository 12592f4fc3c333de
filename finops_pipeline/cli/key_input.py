"""The ways in for a key: standard input, a hidden prompt, a variable; never an argument."""

from __future__ import annotations

import getpass
import os
import sys
import warnings

import typer
from typer.core import TyperGroup

from finops_pipeline.errors import UsageError
from finops_pipeline.registry.rules import MAX_KEY_LENGTH, looks_like_key


class KeyGroup(TyperGroup):
    """Refuses a key among the arguments before any parser can repeat it in an error of its own."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if any(map(looks_like_key, args)):
            raise _key_as_argument()
        return super().parse_args(ctx, args)


def read_key(from_env: str | None, key_type: str) -> str:
    """The key's text from the named variable, from standard input, or from a hidden prompt.

    Raises:
        UsageError: the variable is not set, or the terminal cannot hide what is typed.
    """
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
        return _prompted_key(key_type)
    given = sys.stdin.buffer.read(MAX_KEY_LENGTH + 3)  # room for a line's end, and one too many
    # Latin-1 never fails: an error of the decoder would carry the key's bytes. Whatever is not
    # ASCII is refused by the registry.
    text = given.decode("latin-1")
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def _prompted_key(key_type: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"{key_type.capitalize()} key (not shown): ")
        except getpass.GetPassWarning:
            raise UsageError(
                "This terminal cannot hide what is typed.",
                "Pipe the key into standard input, or use --from-env.",
            ) from None
        except EOFError:
            return ""


def refuse_surplus(ctx: typer.Context) -> None:
    """Refuse every argument beyond those that a command names.

    Raises:
        UsageError: there is one; it is not repeated.
    """
    if ctx.args:
        raise _key_as_argument()


def _key_as_argument() -> UsageError:
    return UsageError(
        "Only a team and options may be given here. A key is never an argument, because the "
        "shell's history and the list of processes would keep it.",
        "Pipe it into standard input, type it at the prompt or name a variable with --from-env; "
        "if this was a real key, replace it at OpenAI.",
    )
