"""Projects: one OpenAI project is one of ours, and somebody owns it."""

from __future__ import annotations

from datetime import date

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import Registry

OPENAI_ID = "proj_abcdefghijklmnopqrstuvwx"


@pytest.fixture
def registry(registry: Registry) -> Registry:
    registry.add_team("web")
    return registry


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


def test_duplicates_say_what_exists(registry: Registry) -> None:
    registry.add_project("search", team_id="web", openai_project_id=OPENAI_ID)

    with pytest.raises(UsageError, match=f"'search' is already registered.* {OPENAI_ID}"):
        registry.add_project("search", team_id="web", openai_project_id="proj_2")
    with pytest.raises(UsageError, match=f"{OPENAI_ID} is already registered as project 'search'"):
        registry.add_project("find", team_id="web", openai_project_id=OPENAI_ID)
    assert [project.project_id for project in registry.list_projects()] == ["search"]


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
