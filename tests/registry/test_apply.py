"""A reviewed file put into the registry: planned, all or nothing, idempotent, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.registry.audit import Change
from finops_pipeline.registry.document import Document
from finops_pipeline.registry.document_file import document_text, parse_document
from finops_pipeline.settings import ExplicitSettings
from tests.registry.postgresql import on_both

SQL = Callable[..., list[tuple[Any, ...]]]
BOTH = """\
teams:
- team_id: web
  team_name: Web shop
  parent_team_id: company
  cost_center: CC-1
- team_id: company
  team_name: company
projects:
- project_id: search
  openai_project_id: proj_1
  project_name: Search
  tags:
    tier: gold
  owners:
  - team_id: web
    valid_from: 2026-01-01
  - team_id: company
    valid_from: 2026-03-01
"""


def apply(registry: Registry, text: str) -> list[Change]:
    return registry.apply_document(parse_document(text), check=lambda _: ())


def actions(changes: list[Change]) -> list[tuple[str, str | None]]:
    return [
        (change.action, change.subject.project_id or change.subject.team_id) for change in changes
    ]


@on_both
def test_a_file_fills_an_empty_registry_in_one_step_and_the_second_time_nothing(
    registry: Registry,
) -> None:
    assert actions(apply(registry, BOTH)) == [
        ("team.add", "web"),
        ("team.add", "company"),
        ("project.add", "search"),
    ]
    _, web = registry.list_teams()
    assert (web.team_name, web.parent_team_id, web.cost_center) == ("Web shop", "company", "CC-1")
    assert registry.snapshot().project_ownership.select([1, 3, 4]).to_pylist() == [
        {"team_id": "web", "valid_from": date(2026, 1, 1), "valid_to": date(2026, 3, 1)},
        {"team_id": "company", "valid_from": date(2026, 3, 1), "valid_to": None},
    ]
    entries = registry.audit_entries()
    assert [entry.action for entry in entries] == ["team.add", "team.add", "project.add"]
    assert json.loads(entries[-1].after or "")["validated"] is False

    assert apply(registry, BOTH) == []
    assert registry.audit_entries() == entries
    assert registry.verify_audit().problems == ()


@on_both
def test_a_plan_is_what_is_done_and_changes_nothing_itself(registry: Registry, sql: SQL) -> None:
    document = parse_document(BOTH)
    plan = registry.plan_document(document)

    for table in ("teams", "team_attributes", "projects", "project_ownership", "audit_log"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]
    shown: list[Change] = []

    def show(made: list[Change]) -> set[str]:
        shown.extend(made)
        return set()

    assert registry.apply_document(document, check=show) == plan
    assert shown == plan


def test_attributes_change_from_today_and_what_is_not_mentioned_stays(registry: Registry) -> None:
    registry.add_team("web", team_name="Web", cost_center="CC-1", owner_email="ann@example.com")
    registry.add_team("mobile", cost_center="CC-7")
    registry.add_project(
        "search", team_id="web", openai_project_id="proj_1", environment="x", tags={"a": "1"}
    )
    before = datetime.now(UTC).date()
    changes = apply(
        registry,
        "teams:\n- {team_id: web, cost_center: CC-2, owner_email: null}\n"
        "projects:\n- {project_id: search, openai_project_id: proj_1, tags: {b: '2'}}\n",
    )

    assert actions(changes) == [("team.set", "web"), ("project.set", "search")]
    assert changes[0].before == {"owner_email": "ann@example.com", "cost_center": "CC-1"}
    mobile, web = registry.list_teams()
    assert (web.team_name, web.cost_center, web.owner_email) == ("Web", "CC-2", None)
    assert mobile.cost_center == "CC-7"
    [project] = registry.list_projects()
    assert (project.environment, project.tags) == ("x", {"b": "2"})
    history = registry.snapshot().team_attributes.to_pylist()
    first, second = (row for row in history if row["team_id"] == "web")
    assert first["cost_center"] == "CC-1"
    assert before <= second["valid_from"] <= datetime.now(UTC).date()


def test_a_dated_change_holds_from_its_day(registry: Registry) -> None:
    text = (
        "teams:\n- team_id: web\n  cost_center: CC-1\n  changes:\n"
        "  - {effective: 2026-03-01, cost_center: CC-2}\n"
    )
    assert actions(apply(registry, text)) == [("team.add", "web"), ("team.set", "web")]
    assert apply(registry, text) == []
    assert document_text(registry.export_document()).splitlines()[4:6] == [
        "  changes:",
        "  - effective: 2026-03-01",
    ]


def test_a_change_that_is_still_to_come_may_stand_beside_one_of_today(registry: Registry) -> None:
    registry.add_team("web", cost_center="CC-0")
    text = (
        "teams:\n- team_id: web\n  cost_center: CC-1\n  changes:\n"
        "  - {effective: 9000-01-01, cost_center: CC-2}\n"
    )
    apply(registry, text)
    assert [row["cost_center"] for row in registry.snapshot().team_attributes.to_pylist()] == [
        "CC-0",
        "CC-1",
        "CC-2",
    ]
    assert apply(registry, text) == []


def test_owners_may_be_added_and_none_is_taken_back(registry: Registry) -> None:
    for team in ("web", "mobile", "data"):
        registry.add_team(team)
    registry.add_project("search", team_id="web", openai_project_id="proj_1")
    start = "projects:\n- project_id: search\n  openai_project_id: proj_1\n  owners:\n"
    moved = start + "  - team_id: web\n  - {team_id: mobile, valid_from: 2026-03-01}\n"

    assert actions(apply(registry, moved)) == [("project.move", "search")]
    assert apply(registry, moved) == []
    assert apply(registry, "projects:\n- {project_id: search, openai_project_id: proj_1}") == []
    between = moved.replace("  - {team", "  - {team_id: data, valid_from: 2026-02-01}\n  - {team")
    assert actions(apply(registry, between)) == [("project.move", "search")]
    for refused, message in (
        (start + "  - team_id: web\n", "'search' moves to team 'data' on 2026-02-01, which the fi"),
        (moved, "'search' moves to team 'data' on 2026-02-01, which the file does not mention"),
        (start + "  - team_id: mobile\n", "'search' has the first owner 'web' (since ever)"),
        (
            start + "  - {team_id: web, valid_from: 2026-01-01}\n",
            "(since ever), and the file says 'web' (from 2026-01-01)",
        ),
    ):
        with pytest.raises(UsageError) as error:
            apply(registry, refused)
        assert message in error.value.message
        assert error.value.fix
    assert apply(registry, between) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("teams:\n- {team_id: new, parent_team_id: nobody}", "Team 'new': Team 'nobody' is not"),
        (
            "teams:\n- {team_id: a, parent_team_id: b}\n- {team_id: b, parent_team_id: a}",
            "its own ancestor: a → b → a",
        ),
        ("teams:\n- {team_id: new, parent_team_id: new}", "its own ancestor: new → new"),
        (
            "projects:\n- {project_id: p, openai_project_id: proj_2, owners: [{team_id: wep}]}",
            "Project 'p': Team 'wep' is not registered. Did you mean 'web'",
        ),
        (
            "projects:\n- {project_id: p, openai_project_id: proj_2, owners: [{team_id: gone}]}",
            "Project 'p': Team 'gone' was deactivated",
        ),
        (
            "projects:\n- {project_id: p, openai_project_id: proj_1, owners: [{team_id: web}]}",
            "Project 'p': The OpenAI project proj_1 is already registered as project 'search'",
        ),
        (
            "projects:\n- {project_id: p, openai_project_id: proj_2}",
            "Project 'p' is new and has no owners",
        ),
        (
            "projects:\n- {project_id: search, openai_project_id: proj_2}",
            "Project 'search' is registered for the OpenAI project proj_1, and keeps it",
        ),
        ("teams:\n- {team_id: gone, is_active: true}", "Team 'gone' was deactivated and cannot be"),
        (
            "teams:\n- team_id: web\n  cost_center: CC-9\n  changes: [{effective: 2026-01-01}]",
            "Team 'web' has cost_center 'CC-1' on 2025-12-31, and the file says 'CC-9' for the",
        ),
    ],
)
def test_one_wrong_entry_and_nothing_is_changed(
    registry: Registry, text: str, message: str
) -> None:
    registry.add_team("web", cost_center="CC-1")
    registry.add_team("gone")
    registry.deactivate_team("gone")
    registry.add_project("search", team_id="web", openai_project_id="proj_1")
    before = registry.export_document(), registry.audit_entries()
    good = "teams:\n- team_id: good\n" if text.startswith("projects") else ""
    wrong = parse_document(text + "\n" + good)

    with pytest.raises(UsageError) as error:
        registry.plan_document(wrong)
    assert message in error.value.message
    assert (registry.export_document(), registry.audit_entries()) == before
    with pytest.raises(UsageError):
        registry.apply_document(wrong, check=lambda _: ())
    assert registry.export_document() == before[0]
    newest = registry.audit_entries()[-1]
    assert (newest.action, newest.outcome) == ("registry.apply", "refused")


@on_both
def test_a_registry_that_changed_since_the_plan_is_left_alone(registry: Registry) -> None:
    def somebody_else(_: list[Change]) -> set[str]:
        registry.add_team("web", team_name="somebody else's")
        return set()

    with pytest.raises(FinopsError, match="changed by somebody else since the plan"):
        registry.apply_document(parse_document(BOTH), check=somebody_else)
    assert [team.team_id for team in registry.list_teams()] == ["web"]


def test_a_database_that_breaks_off_half_way_keeps_nothing(registry: Registry, sql: SQL) -> None:
    def break_the_last_table(_: list[Change]) -> set[str]:
        sql(
            "CREATE TRIGGER full BEFORE INSERT ON project_ownership "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        return set()

    with pytest.raises(FinopsError):
        registry.apply_document(parse_document(BOTH), check=break_the_last_table)
    for table in ("teams", "team_attributes", "projects", "project_attributes"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]
    [entry] = registry.audit_entries()
    assert (entry.action, entry.outcome) == ("registry.apply", "refused")
    assert registry.verify_audit().problems == ()


def test_who_was_seen_by_a_key_is_recorded(registry: Registry) -> None:
    registry.apply_document(parse_document(BOTH), check=lambda _: {"search"})
    assert json.loads(registry.audit_entries()[-1].after or "")["validated"] is True


def test_what_the_check_refuses_is_recorded_and_not_done(registry: Registry) -> None:
    def refuse(_: list[Change]) -> set[str]:
        raise FinopsError("not seen")

    with pytest.raises(FinopsError, match="not seen"):
        registry.apply_document(parse_document(BOTH), check=refuse)
    [entry] = registry.audit_entries()
    assert (entry.action, entry.outcome, entry.detail) == ("registry.apply", "refused", "not seen")
    assert registry.list_teams() == []


Empty = Callable[[], AbstractContextManager[Registry]]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Empty:
    """Opens another registry, in a file of its own."""
    first = ExplicitSettings(data_dir=tmp_path_factory.mktemp("first"))
    open_registry(first).close()

    def opened() -> Registry:
        other = ExplicitSettings(data_dir=tmp_path_factory.mktemp("other"))
        other.registry_path.write_bytes(first.registry_path.read_bytes())
        return open_registry(other)

    return opened


@on_both
def test_what_is_exported_makes_the_same_registry(
    registry: Registry, empty: Empty, key: str
) -> None:
    apply(registry, BOTH)
    registry.register_key("web", key)
    registry.add_team("data", owner_email="größe@example.com")
    registry.set_team("web", cost_center="0815", owner_email="ann@example.com")
    registry.set_team("web", cost_center="", effective=date(2026, 2, 1))
    registry.set_team("web", parent_team_id="", effective=date(9000, 1, 1))
    registry.set_project("search", tags={"tier": ""}, environment="on", effective=date(2026, 2, 1))
    registry.move_project("search", team_id="data", effective=date(9000, 1, 1))
    registry.deactivate_team("data")
    text = document_text(registry.export_document())

    assert key[-4:] not in text
    assert apply(registry, text) == []
    with empty() as other:
        apply(other, text)
        assert document_text(other.export_document()) == text
        assert apply(other, text) == []
        for name in ("team_attributes", "project_attributes", "project_ownership"):
            assert getattr(other.snapshot(), name).equals(getattr(registry.snapshot(), name))


DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(8)]
texts = st.none() | st.sampled_from(["yes", "0815", "null", "größer: #1", "2026-01-01"])


@st.composite
def documents(draw: st.DrawFn) -> Document:
    def changes(name: str) -> list[dict[str, object]]:
        days = sorted(draw(st.sets(st.sampled_from(DAYS), max_size=3)))
        return [{"effective": day, name: draw(texts)} for day in days]

    def owners() -> list[dict[str, object]]:
        days = sorted(draw(st.sets(st.sampled_from(DAYS), max_size=3)))
        start = draw(st.sampled_from([{}, {"valid_from": date(2025, 1, 1)}]))
        first = {"team_id": "team-0", **start}
        later = [
            {"team_id": f"team-{(number + 1) % 3}", "valid_from": day}
            for number, day in enumerate(days)
        ]
        return [first, *later]

    return Document.model_validate(
        {
            "teams": [
                {
                    "team_id": f"team-{number}",
                    "cost_center": draw(texts),
                    "parent_team_id": "team-2" if number < 2 and draw(st.booleans()) else None,
                    "changes": changes("cost_center"),
                }
                for number in range(3)
            ],
            "projects": [
                {
                    "project_id": f"project-{number}",
                    "openai_project_id": f"proj_{number}",
                    "tags": draw(st.dictionaries(st.sampled_from("ab"), st.just("größer"))),
                    "owners": owners(),
                    "changes": changes("environment"),
                }
                for number in range(2)
            ],
        }
    )


@bounded(
    derandomize=True,
    max_examples=10,
    deadline=None,
)
@given(document=documents())
def test_any_document_is_applied_once_and_comes_back_the_same(
    document: Document, empty: Empty
) -> None:
    with empty() as one, empty() as other:
        assert apply(one, document_text(document))
        assert apply(one, document_text(document)) == []
        text = document_text(one.export_document())
        assert apply(one, text) == []
        apply(other, text)
        assert document_text(other.export_document()) == text


def test_hundreds_of_entries_are_written_together(registry: Registry) -> None:
    text = document_text(
        Document.model_validate(
            {
                "teams": [{"team_id": f"team-{number}"} for number in range(100)],
                "projects": [
                    {
                        "project_id": f"project-{number}",
                        "openai_project_id": f"proj_{number}",
                        "owners": [{"team_id": f"team-{number % 100}"}],
                    }
                    for number in range(500)
                ],
            }
        )
    )
    assert len(apply(registry, text)) == 600
    assert registry.verify_audit().entries == 600
    assert registry.plan_document(parse_document(text)) == []
