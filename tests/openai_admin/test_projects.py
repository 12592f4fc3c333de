"""The names of projects: every page, or an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from finops_pipeline.openai_admin import OpenAIError, Project
from tests.openai_admin.conftest import Reply, ScriptedServer


def project(identity: str, **fields: Any) -> dict[str, Any]:
    return {"object": "organization.project", "id": identity, "name": identity.upper()} | fields


def projects(*data: Any, **fields: Any) -> Reply:
    return Reply({"object": "list", "data": list(data), "has_more": False} | fields)


def test_all_pages_archived_included(server: ScriptedServer) -> None:
    archived = project(
        "strange id", name=None, status="archived", created_at=1700000000, archived_at=1700000060
    )
    server.play(
        projects(project("proj_a"), project("proj_b", status="active", new=1), has_more=True),
        projects(archived),
    )
    with server.client() as client:
        assert client.projects() == [
            Project("proj_a", "PROJ_A", None, None, None),
            Project("proj_b", "PROJ_B", "active", None, None),
            Project(
                "strange id",
                None,
                "archived",
                datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
                datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC),
            ),
        ]
    first, second = server.asked
    assert first.path == "/v1/organization/projects"
    assert dict(first.params) == {"limit": "100", "include_archived": "true"}
    assert dict(second.params) == {"limit": "100", "include_archived": "true", "after": "proj_b"}


def test_no_project_at_all(server: ScriptedServer) -> None:
    server.play(projects())
    with server.client() as client:
        assert client.projects() == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (projects(project("proj_a"), has_more=True), "repeats an earlier page's last project"),
        (projects(has_more=True), "names no project to go on after"),
        (Reply({"object": "list"}), "not a page of projects"),
        (projects({"name": "x"}), "not a page of projects"),
        (projects(project("proj_b", created_at=10**18)), "impossible time"),
    ],
)
def test_broken_page_is_an_error(server: ScriptedServer, answer: Reply, words: str) -> None:
    server.play(projects(project("proj_a"), has_more=True), answer)
    with server.client() as client, pytest.raises(OpenAIError, match=words) as caught:
        client.projects()
    assert caught.value.reason == "broken_answer"
    assert "Team 'growth', page 2 of the projects" in caught.value.message


def test_key_that_may_not_list(server: ScriptedServer) -> None:
    server.play(Reply({"error": {"message": "Missing scopes: api.management.read"}}, 403))
    with server.client() as client, pytest.raises(OpenAIError) as caught:
        client.projects()
    assert caught.value.reason == "missing_scope"
    assert "api.management.read" in caught.value.fix


def test_cut_body_is_asked_again(server: ScriptedServer) -> None:
    server.play(Reply(b'{"data": ['), projects(project("proj_a")))
    with server.client() as client:
        assert [project.id for project in client.projects()] == ["proj_a"]
