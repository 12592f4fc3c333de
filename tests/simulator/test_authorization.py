"""Who may ask what, and how the others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from finops_pipeline.simulator import Scenario

PATHS = {"/organization/costs": "api.usage.read", "/organization/projects": "api.management.read"}


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_key_is_refused_and_masked(unchanging: Any, path: str) -> None:
    wrong = "sk-admin-0123456789abcdefghijWXYZ"
    answer = unchanging.get(path, key=wrong)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (401, "invalid_api_key")
    assert "sk-admin-********WXYZ" in error["message"]
    assert wrong not in answer.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}])
def test_no_key_is_refused(unchanging: Any, headers: dict[str, str]) -> None:
    answer = unchanging.http.get(
        unchanging.server.base_url + "/organization/costs", headers=headers
    )
    assert answer.status_code == 401
    assert "provide an API key" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("path", "scope"), PATHS.items())
def test_a_project_key_is_no_admin_key(unchanging: Any, path: str, scope: str) -> None:
    answer = unchanging.get(path, key="sk-proj-0123456789")
    assert answer.status_code == 401
    assert f"Missing scopes: {scope}" in answer.json()["error"]["message"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("scope", PATHS.values())
def test_a_restricted_key_may_do_only_what_its_scopes_say(
    open_company: Callable[[Scenario], Any], scope: str, status: int
) -> None:
    described = Scenario.demo().model_dump()
    described["organizations"][0]["restricted_keys"] = [
        {"key": "sk-admin-restricted", "scopes": [scope], "refusal_status": status}
    ]
    company = open_company(Scenario.model_validate(described))
    for path, needed in PATHS.items():
        answer = company.get(path, key="sk-admin-restricted", params={"start_time": 1})
        if path == "/organization/projects":
            answer = company.get(path, key="sk-admin-restricted")
        assert answer.status_code == (200 if needed == scope else status)
        if needed != scope:
            assert f"Missing scopes: {needed}" in answer.json()["error"]["message"]


def test_every_key_of_an_organization_opens_all_of_it(unchanging: Any) -> None:
    answers = [unchanging.costs(1772323200, key=key).content for key in unchanging.keys]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]
