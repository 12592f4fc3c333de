"""Keys: one active per team, replaced whole, and what a collection gets to see."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest
from sqlalchemy import Engine, event

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import Settings


@pytest.fixture
def registry(registry: Registry) -> Registry:
    for team_id in ("web", "mobile", "retired"):
        registry.add_team(team_id)
    registry.deactivate_team("retired")
    return registry


def test_status_shows_what_may_be_shown(registry: Registry, key: str) -> None:
    stored = registry.register_key("web", key, organization_id="org-1")

    assert registry.key_status("web") == [stored]
    assert stored.last4 == key[-4:]
    assert (stored.key_type, stored.organization_id, stored.is_active) == ("admin", "org-1", True)
    assert stored.created_at.tzinfo is UTC
    assert registry.key_status("mobile") == []


def test_a_second_key_is_refused_with_the_way_to_rotate(
    registry: Registry, key: str, other_key: str
) -> None:
    registry.register_key("web", key)

    with pytest.raises(UsageError, match="'web' already has an active admin key") as error:
        registry.register_key("web", other_key)
    assert "finops key rotate web" in error.value.fix
    assert revealed(registry, "web") == key


def test_rotation_leaves_exactly_one_active_key(
    registry: Registry, key: str, other_key: str
) -> None:
    registry.register_key("web", key, organization_id="org-1")
    registry.rotate_key("web", other_key)

    assert [(status.last4, status.is_active) for status in registry.key_status("web")] == [
        (other_key[-4:], True),
        (key[-4:], False),
    ]
    assert revealed(registry, "web") == other_key
    # Which organization the new key opens is not known from the old one.
    assert registry.key_status("web")[0].organization_id is None


def test_a_failed_rotation_keeps_the_old_key(
    registry: Registry, key: str, other_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register_key("web", key)

    def fail(_: int) -> bytes:
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr("finops_pipeline.registry.envelope.os.urandom", fail)
        with pytest.raises(RuntimeError, match="planted"):
            registry.rotate_key("web", other_key)

    assert revealed(registry, "web") == key
    assert len(registry.key_status("web")) == 1


def test_without_an_active_key_there_is_nothing_to_rotate_or_end(
    registry: Registry, key: str
) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: registry.rotate_key("web", key),
        lambda: registry.deactivate_key("web"),
    ]
    for attempt in attempts:
        with pytest.raises(UsageError, match="has no active admin key") as error:
            attempt()
        assert "finops key register web" in error.value.fix


def test_an_ended_key_makes_room_for_a_new_one(
    registry: Registry, key: str, other_key: str
) -> None:
    registry.register_key("web", key)
    assert not registry.deactivate_key("web").is_active
    assert registry.active_admin_key("web") is None

    registry.register_key("web", other_key)
    assert revealed(registry, "web") == other_key


def test_keys_belong_to_active_registered_teams(registry: Registry, key: str) -> None:
    with pytest.raises(UsageError, match="'retired' was deactivated"):
        registry.register_key("retired", key)
    for attempt in (
        lambda: registry.register_key("wep", key),
        lambda: registry.rotate_key("wep", key),
        lambda: registry.deactivate_key("wep"),
        lambda: registry.key_status("wep"),
        lambda: registry.active_admin_key("wep"),
    ):
        with pytest.raises(UsageError, match=r"'wep' is not registered\. Did you mean 'web'"):
            attempt()


def test_every_active_team_is_collectable_with_or_without_a_key(
    registry: Registry, key: str
) -> None:
    registry.register_key("web", key, organization_id="org-1")
    mobile, web = registry.collectable_teams(None)

    assert (mobile.team_id, mobile.key) == ("mobile", None)
    assert web.team_id == "web"
    assert web.key is not None
    assert web.key.organization_id == "org-1"
    assert web.key.reveal() == key
    assert registry.collectable_teams([]) == registry.collectable_teams(None)
    assert [team.team_id for team in registry.collectable_teams(["web", "web"])] == ["web"]


def test_more_keys_take_no_more_questions(registry: Registry, key: str) -> None:
    def questions() -> int:
        asked: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            assert any(team.key for team in registry.collectable_teams(None))
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(asked)

    registry.register_key("web", key)
    of_one = questions()
    registry.register_key("mobile", key)
    assert questions() == of_one


def test_unknown_and_ended_teams_are_all_named(registry: Registry) -> None:
    with pytest.raises(UsageError) as error:
        registry.collectable_teams(["web", "moblie", "nobody", "retired"])
    for words in (
        "'moblie' is not registered. Did you mean 'mobile'?",
        "'nobody' is not registered.",
        "'retired' was deactivated on",
    ):
        assert words in error.value.message
    assert "'web'" not in error.value.message


def test_without_any_team_the_way_to_add_one_is_told(settings: Settings) -> None:
    with open_registry(settings) as empty:
        with pytest.raises(UsageError, match="No team is registered") as error:
            empty.collectable_teams(None)
        assert "finops team add" in error.value.fix
        empty.add_team("web")
        empty.deactivate_team("web")
        with pytest.raises(UsageError, match="Every registered team is deactivated"):
            empty.collectable_teams(None)


def test_a_key_in_hand_shows_no_secret(registry: Registry, key: str) -> None:
    registry.register_key("web", key)
    team_key = registry.active_admin_key("web")
    assert team_key is not None

    revealed_key = team_key.reveal()
    assert revealed_key == key
    assert repr(team_key) == str(team_key)
    assert repr(team_key) == (
        f"TeamKey(key_id={team_key.key_id!r}, fingerprint={team_key.fingerprint!r}, "
        "organization_id=None)"
    )
    assert key not in repr(vars(team_key))
    assert team_key.reveal() == revealed_key
    assert team_key.reveal() is not revealed_key  # decrypted again, not kept


def test_a_key_does_not_open_once_its_registry_is_closed(settings: Settings, key: str) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")
        registry.register_key("web", key)
        team_key = registry.active_admin_key("web")
    assert team_key is not None
    with pytest.raises(FinopsError, match="the registry was closed"):
        team_key.reveal()


def test_the_active_key_is_read_anew_after_a_rotation(
    registry: Registry, key: str, other_key: str
) -> None:
    registry.register_key("web", key)
    held = registry.active_admin_key("web")
    registry.rotate_key("web", other_key)
    anew = registry.active_admin_key("web")

    assert held is not None
    assert anew is not None
    assert (held.reveal(), anew.reveal()) == (key, other_key)
    assert held.key_id != anew.key_id


def test_teams_with_the_same_key_share_its_fingerprint(
    registry: Registry, key: str, other_key: str
) -> None:
    registry.register_key("web", key)
    registry.register_key("mobile", key)
    web, mobile = (registry.active_admin_key(team_id) for team_id in ("web", "mobile"))

    assert web is not None
    assert mobile is not None
    assert web.fingerprint == mobile.fingerprint
    registry.rotate_key("mobile", other_key)
    mobile = registry.active_admin_key("mobile")
    assert mobile is not None
    assert web.fingerprint != mobile.fingerprint


def test_of_threads_registering_one_key_exactly_one_wins(settings: Settings, key: str) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")

        def register(_: int) -> str:
            try:
                return registry.register_key("web", key).last4
            except FinopsError as error:
                return str(error)

        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(register, range(6)))
        assert results.count(key[-4:]) == 1
        assert sum("already has an active admin key" in result for result in results) == 5
        assert len(registry.key_status("web")) == 1


def revealed(registry: Registry, team_id: str) -> str:
    team_key = registry.active_admin_key(team_id)
    assert team_key is not None
    return team_key.reveal()
