"""The reviewed file: what is wrong with it is named by line and entry, and no file is a trap."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry.document_file import (
    MAX_BYTES,
    document_text,
    parse_document,
    read_document,
)

WHOLE = """\
teams:
- team_id: company
  team_name: Größte Firma
- team_id: web
  team_name: Web shop
  parent_team_id: company
  owner_email: ann@example.com
  budget_owner_email: bob@example.com
  cost_center: '0715'
  is_active: false
  changes:
  - effective: 2026-03-01
    cost_center: CC-2
  - effective: 2026-04-01
    owner_email: null
projects:
- project_id: search
  openai_project_id: proj_1
  project_name: Search
  environment: production
  owner_email: eve@example.com
  cost_center: CC-3
  tags:
    app: shop
    tier: gold
  owners:
  - team_id: web
  - team_id: company
    valid_from: 2026-03-01
  changes:
  - effective: 2026-03-01
    tags: {}
"""


def test_a_document_is_read_and_written_as_the_same() -> None:
    document = parse_document(WHOLE)

    assert document_text(document) == WHOLE
    web = document.teams[1]
    assert web.given()["cost_center"] == "0715"
    assert web.changes[1].given() == {"owner_email": None}
    assert web.changes[0].effective == date(2026, 3, 1)
    assert document.teams[0].given() == {"team_name": "Größte Firma"}


@pytest.mark.parametrize("text", ["", "teams: []\n", "# nothing yet\n"])
def test_nothing_is_a_document_too(text: str) -> None:
    assert parse_document(text).teams == ()


TEAM = "teams:\n- team_id: web\n"
PROJECT = "projects:\n- project_id: search\n  openai_project_id: proj_1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEAM + "  cost_centre: x", "line 3 (team 'web', cost_centre): is no name that is known"),
        (TEAM + "  cost_center: 815", "line 3 (team 'web', cost_center): is no text; put it into"),
        (
            TEAM + "  owner_email: ann",
            "line 3 (team 'web', owner_email): The owner's address 'ann'",
        ),
        (TEAM + "  is_active: maybe", "(team 'web', is_active): is neither true nor false"),
        (TEAM + "- team_name: x", "line 3 (team entry 2, team_id): is missing"),
        (TEAM + "- team_id: Web", "line 3 (team 'Web', team_id): The team id 'Web' is not usable"),
        (TEAM + "- team_id: unallocated", "is reserved"),
        (TEAM + "- mobile", "line 3 (team entry 2): takes names with values"),
        (TEAM + "- team_id: web", "the team_id 'web' is in it twice"),
        (TEAM + "  team_id: mobile", "Line 3 gives 'team_id' a second time, after line 2"),
        (TEAM + "  parent_team_id: A B", "line 3 (team 'web', parent_team_id): The team id 'A B'"),
        (TEAM + "  keys: [a]", "(team 'web', keys): is no name that is known"),
        ("teams: web", "line 1 (teams): is no list"),
        ("- team_id: web", "line 1: takes names with values"),
        ("team:\n- team_id: web", "line 1 (team): is no name that is known"),
        (PROJECT + "- project_id: find\n  openai_project_id: proj_1", "'proj_1' is in it twice"),
        (PROJECT + "  tags: {tier: 1}", "line 4 (project 'search', tags, tier): is no text"),
        (PROJECT + "  tags: [tier]", "line 4 (project 'search', tags): takes names with values"),
        (PROJECT + "  owners: web", "line 4 (project 'search', owners): is no list"),
        (
            PROJECT + "  owners: [{team_id: a}, {team_id: b}]",
            "line 2 (project 'search'): every owner after the first needs a valid_from",
        ),
        (
            PROJECT + "  owners:\n  - team_id: a\n  - {team_id: a, valid_from: 2026-03-01}",
            "owners: team 'a' follows itself on 2026-03-01",
        ),
        (
            PROJECT
            + "  owners:\n  - {team_id: a, valid_from: 2026-03-01}\n"
            + "  - {team_id: b, valid_from: 2026-03-01}",
            "owners: 2026-03-01 comes after 2026-03-01; list each day once, in order",
        ),
        (
            PROJECT + "  owners:\n  - team_id: a\n    valid_from: 20260301",
            "line 6 (project 'search', owners 1, valid_from): is no day; write it as YYYY-MM-DD",
        ),
        (
            PROJECT + "  owners:\n  - team_id: a\n    valid_from: 2026-03-01 10:00:00",
            "valid_from): is no day",
        ),
        (PROJECT + "  changes:\n  - cost_center: x", "changes 1, effective): is missing"),
        (
            PROJECT + "  changes: [{effective: 2026-03-02}, {effective: 2026-03-01}]",
            "changes: 2026-03-01 comes after 2026-03-02",
        ),
        (TEAM + "  changes: [{effective: 2026-13-01}]", "month must be in 1..12"),
        ("teams: [", "is no YAML"),
        ("teams: \x07", "It is no YAML"),
        ("teams: !!python/object/apply:os.system [ls]", "is no YAML"),
        ("? [a]\n: b", "is no YAML"),
        ("a: &a [1]\nb: *a", "Line 1 has an anchor or an alias"),
        ("a: &a [*a]", "Line 1 has an anchor or an alias"),
        ("[" * 100_000, "Line 1 is nested too deeply"),
        ("{a: " * 100_000, "Line 1 is nested too deeply"),
        ("a:\n" + "".join(f"{' ' * n}- \n" for n in range(500)), "nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_document(text)
    assert message in error.value.message
    assert error.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "teams:\n- team_id: {key}",
        "teams:\n- team_id: web\n  team_name: {key}",
        "teams:\n- team_id: web\n  {key}: x",
        "{key}: x",
        "{key}: x\n{key}: y",
        "teams:\n- team_id: {key}\n  team_name: 3",
        "projects:\n- project_id: a\n  openai_project_id: {key}",
        "projects:\n- project_id: a\n  openai_project_id: p\n  tags: {{{key}: x, b: {key}}}",
        "projects:\n- project_id: a\n  openai_project_id: p\n  owners: [{{team_id: {key}}}]",
        "{key}",
        "teams: {key}",
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(text: str, key: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_document(text.format(key=key))
    assert key[9:21] not in str(error.value)


def test_many_mistakes_are_told_in_part() -> None:
    text = "teams:\n" + "".join(f"- team_id: T{number}\n" for number in range(9))
    with pytest.raises(UsageError, match=r"'T4'.*; and 4 more") as error:
        parse_document(text)
    assert "'T5'" not in error.value.message


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FinopsError, match=r"nothing\.yaml cannot be read: No such file"):
        read_document(tmp_path / "nothing.yaml")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"# " + b"x" * MAX_BYTES)
    with pytest.raises(UsageError, match=r"large\.yaml is larger than 4 MB"):
        read_document(large)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("teams: # größer".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin\.yaml is not UTF-8"):
        read_document(latin)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("teams: 3")
    with pytest.raises(UsageError, match=r"In .*wrong\.yaml: line 1"):
        read_document(wrong)
