"""Teams: who may exist, whose parent they may be, and two people adding one at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.registry import Registry, open_registry
from finops_pipeline.settings import Settings
from tests.registry.postgresql import on_both


@on_both
def test_a_team_comes_back_as_it_was_added(registry: Registry) -> None:
    registry.add_team("company")
    before = datetime.now(UTC)
    added = registry.add_team(
        "web",
        team_name=" Web shop ",
        parent_team_id="company",
        owner_email="ann@example.com",
        budget_owner_email="bob@example.com",
        cost_center="CC-1",
    )

    assert [team.team_id for team in registry.list_teams()] == ["company", "web"]
    assert registry.list_teams()[1] == added
    assert (added.team_name, added.parent_team_id, added.cost_center) == (
        "Web shop",
        "company",
        "CC-1",
    )
    assert added.is_active
    assert added.created_at.tzinfo is UTC
    assert before <= added.created_at == added.updated_at <= datetime.now(UTC)
    assert registry.list_teams()[0].team_name == "company"


@pytest.mark.parametrize("team_id", ["a", "0", "a-b_c", "sk-telecom-europe", "a" * 63])
def test_slugs_are_accepted(registry: Registry, team_id: str) -> None:
    assert registry.add_team(team_id).team_id == team_id


@pytest.mark.parametrize(
    "team_id", ["", "A", "ä", "-a", "_a", "a b", "a.b", "a\n", "a" * 64, "unallocated"]
)
def test_other_ids_are_refused(registry: Registry, team_id: str) -> None:
    with pytest.raises(UsageError, match="team id"):
        registry.add_team(team_id)
    assert registry.list_teams() == []


@on_both
def test_a_second_team_of_the_same_id_is_told_about_the_first(registry: Registry) -> None:
    registry.add_team("web", team_name="Web shop")

    with pytest.raises(UsageError, match="'web' is already registered \\('Web shop', since 20"):
        registry.add_team("web", team_name="Another")
    assert [team.team_name for team in registry.list_teams()] == ["Web shop"]


def test_an_unknown_team_names_what_it_may_have_meant(registry: Registry) -> None:
    for team_id in ("marketing", "markets", "web"):
        registry.add_team(team_id)

    with pytest.raises(UsageError, match="'marketting' is not registered") as error:
        registry.set_team("marketting", team_name="x")
    assert "'marketing'" in error.value.message
    assert "'web'" not in error.value.message
    assert "finops team list" in error.value.fix


@on_both
def test_only_what_is_given_changes_and_empty_text_clears(registry: Registry) -> None:
    registry.add_team("web", team_name="Web", owner_email="ann@example.com", cost_center="CC-1")
    before = registry.list_teams()[0]
    after = registry.set_team("web", cost_center="", budget_owner_email="bob@example.com")

    assert after.cost_center is None
    assert after.budget_owner_email == "bob@example.com"
    assert (after.team_name, after.owner_email) == ("Web", "ann@example.com")
    assert after.updated_at > before.updated_at
    assert after.created_at == before.created_at
    assert registry.list_teams() == [after]
    assert registry.set_team("web", team_name="Web") == after


@on_both
def test_parents_exist_and_form_no_circle(registry: Registry) -> None:
    registry.add_team("a")
    registry.add_team("b", parent_team_id="a")
    registry.add_team("c", parent_team_id="b")

    with pytest.raises(UsageError, match="'nobody' is not registered"):
        registry.add_team("d", parent_team_id="nobody")
    with pytest.raises(UsageError, match="its own ancestor: a → c → b → a"):
        registry.set_team("a", parent_team_id="c")
    with pytest.raises(UsageError, match="its own ancestor: a → a"):
        registry.set_team("a", parent_team_id="a")
    assert registry.set_team("c", parent_team_id="a").parent_team_id == "a"
    assert registry.set_team("c", parent_team_id="").parent_team_id is None


def test_parents_form_no_circle_on_a_later_day_either(registry: Registry) -> None:
    later = date(9000, 1, 1)
    registry.add_team("a")
    registry.add_team("b")
    registry.add_team("c", parent_team_id="b")
    registry.set_team("a", parent_team_id="c", effective=later)

    with pytest.raises(UsageError, match="own ancestor from 9000-01-01 on: b → a → c → b"):
        registry.set_team("b", parent_team_id="a", effective=date(2026, 1, 1))
    assert registry.set_team("a", parent_team_id="", effective=later).parent_team_id is None
    assert registry.set_team("b", parent_team_id="a").parent_team_id == "a"


@on_both
def test_a_dated_change_leaves_the_days_before_it(registry: Registry) -> None:
    registry.add_team("web", team_name="Web", cost_center="CC-1")
    registry.set_team("web", cost_center="CC-3", effective=date(9000, 1, 1))
    team = registry.set_team("web", cost_center="CC-2", effective=date(2026, 3, 1))

    assert (team.team_name, team.cost_center) == ("Web", "CC-2")
    periods = registry.snapshot().team_attributes.select(["cost_center", "valid_from"])
    assert [tuple(row.values()) for row in periods.to_pylist()] == [
        ("CC-1", None),
        ("CC-2", date(2026, 3, 1)),
        ("CC-3", date(9000, 1, 1)),
    ]


@pytest.mark.parametrize("address", ["ann", "ann@", "@example.com", "ann@exa mple.com", "a@b@c"])
def test_addresses_are_addresses(registry: Registry, address: str) -> None:
    with pytest.raises(UsageError, match="is no mail address"):
        registry.add_team("web", owner_email=address)


@on_both
def test_a_team_is_deactivated_once_and_keeps_its_row(registry: Registry) -> None:
    registry.add_team("web")
    ended = registry.deactivate_team("web")

    assert not ended.is_active
    assert ended.deactivated_at == ended.updated_at
    assert registry.list_teams() == [ended]
    with pytest.raises(UsageError, match="'web' was deactivated on 20"):
        registry.deactivate_team("web")


@on_both
def test_of_threads_adding_one_team_exactly_one_wins(settings: Settings) -> None:
    def add(number: int) -> str:
        with open_registry(settings) as registry:
            try:
                return registry.add_team("web", team_name=f"number {number}").team_name
            except FinopsError as error:
                return str(error)

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(add, range(6)))
    with open_registry(settings) as registry:
        [team] = registry.list_teams()
    assert results.count(team.team_name) == 1
    assert sum("'web' is already registered" in result for result in results) == 5


@on_both
@pytest.mark.usefixtures("registry")
def test_of_processes_adding_one_team_exactly_one_wins(settings: Settings, tmp_path: Path) -> None:
    program = (
        "from finops_pipeline.registry import open_registry; "
        "from finops_pipeline.settings import load_settings; "
        "registry = open_registry(load_settings()); print('ready', flush=True); input(); "
        "registry.add_team('web')"
    )
    url = settings.registry_url
    environment = {"FINOPS_DATA_DIR": str(settings.data_dir)}
    environment |= {"FINOPS_REGISTRY_URL": url.get_secret_value()} if url else {}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]

    assert sorted(process.returncode for process in processes) == [0, 1]
    assert sum("UsageError: Team 'web' is already registered" in text for text in errors) == 1
