"""The list of an organization's projects."""

from __future__ import annotations

from typing import Any

import pytest

PATH = "/organization/projects"


def test_archived_projects_are_listed_when_asked_for(unchanging: Any) -> None:
    active = unchanging.get(PATH).json()["data"]
    everything = unchanging.get(PATH, params={"include_archived": "true"}).json()["data"]
    [archived] = [project for project in everything if project not in active]
    assert archived["status"] == "archived"
    assert archived["archived_at"] > archived["created_at"]
    assert {project["status"] for project in active} == {"active"}
    assert {project["archived_at"] for project in active} == {None}
    assert set(archived) == {"id", "object", "name", "status", "created_at", "archived_at"}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_every_project_once(unchanging: Any, limit: int) -> None:
    whole = unchanging.get(PATH, params={"include_archived": "true"}).json()
    found: list[Any] = []
    asked = {"include_archived": "true", "limit": str(limit)}
    while True:
        page = unchanging.get(PATH, params=asked).json()
        found += page["data"]
        assert page["first_id"] == page["data"][0]["id"]
        assert page["last_id"] == page["data"][-1]["id"]
        if not page["has_more"]:
            break
        asked["after"] = page["last_id"]
    assert found == whole["data"]
    assert len(found) == len(unchanging.organization.projects)


@pytest.mark.parametrize(
    ("params", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"after": "proj_x"}, "after")],
)
def test_wrong_questions_are_refused(unchanging: Any, params: dict[str, str], param: str) -> None:
    answer = unchanging.get(PATH, params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
