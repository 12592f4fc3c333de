"""Projects: one OpenAI project is one of ours, and somebody owns it."""

from __future__ import annotations

from datetime import date

import pytest

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry
from tests.registry.postgresql import on_both

OPENAI_ID = "proj_abcdefghijklmnopqrstuvwx"


@pytest.fixture
def registry(registry: Registry) -> Registry:
    registry.add_team("web")
    return registry


@on_both
def test_a_project_comes_back_as_it_was_added(registry: Registry) -> None:
    added = registry.add_project(
        "search",
        team_id="web",
        openai_project_id=OPENAI_ID,
        project_name="Search",
        environment="production",
        owner_email="ann@example.com",
        cost_center="CC-2",
        tags={"tier": "gold", "app": "shop"},
        valid_from=date(2026, 3, 1),
    )

    assert registry.list_projects() == [added]
    assert (added.team_id, added.valid_from) == ("web", date(2026, 3, 1))
    assert added.tags == {"app": "shop", "tier": "gold"}


def test_without_a_first_day_it_is_owned_since_ever(registry: Registry) -> None:
    registry.add_project("search", team_id="web", openai_project_id=OPENAI_ID)

    [project] = registry.list_projects()
    assert project.valid_from is None
    assert project.project_name == "search"
    assert project.tags == {}


@on_both
def test_duplicates_say_what_exists(registry: Registry) -> None:
    registry.add_project("search", team_id="web", openai_project_id=OPENAI_ID)

    with pytest.raises(UsageError, match=f"'search' is already registered.* {OPENAI_ID}"):
        registry.add_project("search", team_id="web", openai_project_id="proj_2")
    with pytest.raises(UsageError, match=f"{OPENAI_ID} is already registered as project 'search'"):
        registry.add_project("find", team_id="web", openai_project_id=OPENAI_ID)
    assert [project.project_id for project in registry.list_projects()] == ["search"]


@on_both
def test_the_owner_is_an_active_team(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"'wep' is not registered\. Did you mean 'web'"):
        registry.add_project("search", team_id="wep", openai_project_id=OPENAI_ID)
    registry.deactivate_team("web")
    with pytest.raises(UsageError, match="'web' was deactivated"):
        registry.add_project("search", team_id="web", openai_project_id=OPENAI_ID)
    assert registry.list_projects() == []


@pytest.mark.parametrize("project_id", ["unallocated", "Search", "a b", ""])
def test_ids_are_slugs(registry: Registry, project_id: str) -> None:
    with pytest.raises(UsageError, match="project id"):
        registry.add_project(project_id, team_id="web", openai_project_id=OPENAI_ID)


@pytest.mark.parametrize("openai_id", ["", " ", "proj_ä", "proj 1", "proj_1\n", "p" * 256])
def test_an_openai_project_id_is_one_visible_word(registry: Registry, openai_id: str) -> None:
    with pytest.raises(UsageError, match="OpenAI project id"):
        registry.add_project("search", team_id="web", openai_project_id=openai_id)


@on_both
def test_only_what_is_given_changes(registry: Registry) -> None:
    registry.add_project(
        "search",
        team_id="web",
        openai_project_id=OPENAI_ID,
        environment="production",
        cost_center="CC-2",
        tags={"tier": "gold", "app": "shop"},
    )
    before = registry.list_projects()[0]
    after = registry.set_project(
        "search", project_name="Search", cost_center="", tags={"tier": "", "app": "x", "new": "1"}
    )

    assert registry.list_projects() == [after]
    assert after.project_name == "Search"
    assert after.cost_center is None
    assert after.environment == "production"
    assert after.tags == {"app": "x", "new": "1"}
    assert after.updated_at > before.updated_at


def test_an_unknown_project_names_what_it_may_have_meant(registry: Registry) -> None:
    registry.add_project("search", team_id="web", openai_project_id=OPENAI_ID)

    with pytest.raises(UsageError, match=r"'serch' is not registered\. Did you mean 'search'") as e:
        registry.set_project("serch", environment="x")
    assert "finops project list" in e.value.fix


def test_a_tag_needs_a_name(registry: Registry) -> None:
    with pytest.raises(UsageError, match="tag has no name"):
        registry.add_project("p", team_id="web", openai_project_id=OPENAI_ID, tags={" ": "x"})


def test_a_dated_change_leaves_the_days_before_it(registry: Registry) -> None:
    registry.add_project("p", team_id="web", openai_project_id=OPENAI_ID, tags={"a": "1"})
    registry.set_project("p", tags={"b": "2"}, effective=date(9000, 1, 1))
    today = registry.set_project("p", tags={"a": "3"}, environment="x", effective=date(2026, 3, 1))

    assert (today.tags, today.environment) == ({"a": "3"}, "x")
    history = registry.snapshot().project_attributes.select(["environment", "tags", "valid_from"])
    assert [tuple(row.values()) for row in history.to_pylist()] == [
        (None, '{"a": "1"}', None),
        ("x", '{"a": "3"}', date(2026, 3, 1)),
        (None, '{"a": "1", "b": "2"}', date(9000, 1, 1)),
    ]


def test_without_a_name_it_takes_the_one_at_openai(registry: Registry) -> None:
    def add(project_id: str, seen: str | None, name: str | None = None) -> str:
        return registry.add_project(
            project_id,
            team_id="web",
            openai_project_id=f"proj_{project_id}",
            project_name=name,
            check=lambda: seen,
        ).project_name

    assert add("a", " Search ") == "Search"
    assert add("b", "Search", "Ours") == "Ours"
    assert add("c", None) == "c"
    assert add("d", "two\nlines") == "d"


def test_what_the_check_refuses_is_not_registered_but_recorded(registry: Registry) -> None:
    def refuse() -> str | None:
        raise FinopsError("The key cannot see it.")

    with pytest.raises(FinopsError, match="cannot see"):
        registry.add_project("p", team_id="web", openai_project_id=OPENAI_ID, check=refuse)
    assert registry.list_projects() == []
    newest = registry.audit_entries()[-1]
    assert (newest.action, newest.outcome, newest.detail) == (
        "project.add",
        "refused",
        "The key cannot see it.",
    )
