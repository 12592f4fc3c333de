"""The key of user pseudonyms: made once, kept as API keys are, opened on record."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.registry.envelope import UndecryptableError
from finops_pipeline.settings import Settings
from tests.registry.postgresql import on_both

SQL = Callable[..., list[tuple[Any, ...]]]


def actions(registry: Registry) -> list[tuple[str, str]]:
    return [
        (entry.action, entry.outcome)
        for entry in registry.audit_entries()
        if entry.action.startswith(("pseudonym_key.", "user."))
    ]


@on_both
def test_the_key_is_made_once_and_every_opening_is_on_record(
    settings: Settings, sql: SQL, registry: Registry
) -> None:
    with ThreadPoolExecutor(4) as threads:
        keys = set(threads.map(lambda _: registry.pseudonym_key(), range(4)))
    (key,) = keys
    assert len(key) == 32
    with open_registry(settings, run_id="run-1") as other:
        assert other.pseudonym_key() == key
    found = actions(registry)
    assert found.count(("pseudonym_key.create", "done")) == 1
    assert found.count(("pseudonym_key.decrypt", "done")) == 5
    assert registry.audit_entries()[-1].run_id == "run-1"
    ((stored,),) = sql("SELECT encrypted_key FROM pseudonym_keys")
    assert key not in bytes(stored)
    assert key.hex().encode() not in bytes(stored)


def test_it_opens_whatever_the_api_is(settings: Settings, registry: Registry) -> None:
    key = registry.pseudonym_key()
    elsewhere = settings.model_copy(update={"openai_base_url": "https://proxy.example/v1"})
    with open_registry(elsewhere) as other:
        assert other.pseudonym_key() == key


def test_a_key_that_is_lost_is_not_replaced_by_itself(settings: Settings) -> None:
    with open_registry(settings) as registry:
        key = registry.pseudonym_key()
    moved = settings.model_copy(update={"key_file": settings.key_file.with_name("other")})
    with open_registry(moved) as registry:
        registry.add_team("web")
        registry.register_key("web", "sk-admin-" + "a" * 40)  # makes another key file
        with pytest.raises(UndecryptableError, match="finops privacy renew-key"):
            registry.pseudonym_key()
        assert actions(registry)[-1] == ("pseudonym_key.decrypt", "refused")
        registry.renew_pseudonym_key()
        renewed = registry.pseudonym_key()
    assert len(renewed) == 32
    assert renewed != key


def test_it_is_wrapped_anew_and_stays_the_same(settings: Settings, sql: SQL) -> None:
    with open_registry(settings) as registry:
        assert registry.rewrap_pseudonym_key() is None
        key = registry.pseudonym_key()
        unchanged = registry.rewrap_pseudonym_key()
        assert unchanged is not None
        assert not unchanged.rewrapped
    ((name,),) = sql("SELECT wrapped_by FROM pseudonym_keys")
    assert name == unchanged.wrapped_by
    # A key file of another name in ``wrapped_by`` stands for another wrapping key.
    sql("UPDATE pseudonym_keys SET wrapped_by = 'local:00000000'")
    with open_registry(settings) as registry:
        with pytest.raises(UndecryptableError):
            registry.rewrap_pseudonym_key()
        sql("UPDATE pseudonym_keys SET wrapped_by = ?", name)
        assert registry.pseudonym_key() == key


@on_both
def test_erased_users_are_remembered_by_pseudonym(registry: Registry) -> None:
    assert registry.erased_users() == frozenset()
    assert registry.erase_user("u_" + "0" * 24)
    assert not registry.erase_user("u_" + "0" * 24)
    assert registry.erased_users() == {"u_" + "0" * 24}
    registry.record_user_shown("u_" + "1" * 24)
    assert actions(registry) == [("user.erase", "done")] * 2 + [("user.show", "done")]
    assert registry.audit_entries()[-1].after is not None
    assert registry.verify_audit().problems == ()
