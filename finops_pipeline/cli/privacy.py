"""`finops privacy`: who is behind a pseudonym, and how that is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finops_pipeline.cli.opened import OnBehalfOfOption, opened_registry
from finops_pipeline.cli.output import JsonOption, emit_one
from finops_pipeline.errors import FinopsError
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    from finops_pipeline.registry import Registry

app = typer.Typer(
    no_args_is_help=True,
    help="Users are pseudonyms: show who one is, or erase who it is.",
)

User = Annotated[
    str, typer.Argument(metavar="USER", help="OpenAI's user id, or a pseudonym (u_…).")
]


@app.command("show")
def show(user: User, on_behalf_of: OnBehalfOfOption = None, json: JsonOption = False) -> None:
    """Show which pseudonym belongs to which OpenAI user; the audit log keeps that you asked."""
    from finops_pipeline.ingestion.pseudonyms import user_behind
    from finops_pipeline.warehouse import Warehouse

    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        name = _pseudonym(registry, user)
        registry.record_user_shown(name)
        erased = name in registry.erased_users()
    user_id = user_behind(Warehouse.from_settings(load_settings()), name)
    if user_id is None:
        raise FinopsError(
            f"Nobody is known behind {name}"
            + (": that user was erased." if erased else ": it is in no collected usage."),
            'Pseudonyms in use: finops query "SELECT DISTINCT user_id FROM fct_usage".',
        )
    emit_one(
        {"user_pseudonym": name, "user_id": user_id},
        ("user_pseudonym", "user_id"),
        json=json,
        sentence=f"{name} is {user_id}.",
    )


@app.command("erase")
def erase(user: User, on_behalf_of: OnBehalfOfOption = None, json: JsonOption = False) -> None:
    """Erase who is behind a pseudonym, for good: later collections do not bring it back.

    Usage and costs stay as they are, under the pseudonym. May be run again.
    """
    from finops_pipeline.ingestion.pseudonyms import forget
    from finops_pipeline.warehouse import Warehouse

    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        name = _pseudonym(registry, user)
        # First, so that a collection that is running now does not bring it back.
        is_new = registry.erase_user(name)
    was_known = forget(Warehouse.from_settings(load_settings()), name)
    emit_one(
        {"user_pseudonym": name, "was_known": was_known, "was_erased_before": not is_new},
        ("user_pseudonym", "was_known", "was_erased_before"),
        json=json,
        sentence=(
            f"Erased who is behind {name}."
            if was_known
            else f"Nobody was known behind {name}, and nobody will be."
        ),
    )


@app.command("renew-key")
def renew_key(on_behalf_of: OnBehalfOfOption = None, json: JsonOption = False) -> None:
    """Replace the key of the pseudonyms where it is lost. Every user gets another pseudonym.

    Users who were erased have to be erased again by their OpenAI user ids.
    """
    with opened_registry(on_behalf_of=on_behalf_of) as registry:
        registry.renew_pseudonym_key()
    emit_one(
        {"renewed": True},
        ("renewed",),
        json=json,
        sentence="The key is new: from the next collection on, users have other pseudonyms.",
    )


def _pseudonym(registry: Registry, user: str) -> str:
    from finops_pipeline.ingestion.pseudonyms import is_pseudonym, pseudonym

    return user if is_pseudonym(user) else pseudonym(registry.pseudonym_key(), user)
