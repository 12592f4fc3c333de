"""From the wire to the published marts, through both jobs: no cent is lost, doubled or moved.

Builds take seconds, so each fixture tells one story of several builds; what was published at the
end of each chapter is kept, and the tests look at it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.registry import open_registry
from finops_pipeline.simulator import Fault, RestatedRow, Wire
from tests.ingestion.company import DIGITAL, FIRST, LABS, admin_key, three_teams
from tests.workplace import Workplace, opened_workplace

pytestmark = pytest.mark.slow

DAYS = [FIRST + timedelta(days=number) for number in range(5)]
ODD, EMPTY, SCALED, BACK, EMPTIED = DAYS
LAST = DAYS[-1]
SPAN = DateRange(FIRST, LAST)
CREDIT = Decimal("-84.210000000000000000000000000000000000001")

Bill = dict[tuple[str, date, str | None], Decimal]

MARTS = pytest.mark.parametrize("chapter", ["first", "registered", "restated"])


@dataclass(frozen=True)
class Chapter:
    """What was published, and what the organizations were billed at that moment."""

    marts: Path
    truth: Bill
    requests: int

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.marts), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def number(self, sql: str) -> Any:
        ((number,),) = self.query(sql)
        return number

    def bill(self) -> Bill:
        return {
            (organization, day, project): cost
            for organization, day, project, cost in self.query(
                "SELECT organization_id, cost_date, openai_project_id, sum(cost) FROM fct_costs "
                "WHERE api_version = 'costs_v1' GROUP BY ALL"
            )
        }


def told_by(workplace: Workplace, runner: Runner, name: str) -> Chapter:
    """Builds, and keeps what is published."""
    workplace.server.control.reset_requests()
    runner.build()
    marts = workplace.settings.data_dir.parent / f"{name}.duckdb"
    shutil.copyfile(workplace.settings.marts_path, marts)
    requests = len(workplace.server.control.requests())
    return Chapter(marts, workplace.truth(FIRST, LAST), requests)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chapter]:
    """A team that is down, keys that do not fit, a late project, restatements, and a recovery."""
    scenario = three_teams(wire=Wire(amounts="mixed"))
    projects = scenario.registration.projects
    late = next(project for project in projects if project.project_id == "triage")
    on_time = tuple(project for project in projects if project is not late)
    registration = scenario.registration.model_copy(update={"projects": on_time})
    folder = tmp_path_factory.mktemp("story")
    with opened_workplace(scenario, folder, registered=False) as workplace:
        runner, control = workplace.runner, workplace.server.control
        workplace.register(scenario.model_copy(update={"registration": registration}))
        with open_registry(workplace.settings) as registry:
            for team, key in {"mistyped": "nobody", "narrow": "lists-only"}.items():
                registry.add_team(team)
                registry.register_key(team, admin_key(key))
            registry.add_team("keyless")
        control.restate(
            DIGITAL,
            ODD,
            "add",
            rows=[
                RestatedRow(amount=CREDIT, project_id="proj_ranking", line_item="Service credit"),
                RestatedRow(amount=Decimal(0), project_id="proj_ranking", line_item="free"),
                RestatedRow(amount=Decimal("0.10"), line_item="fee", apart=True),
                RestatedRow(amount=Decimal("0.1"), line_item="fee", apart=True),
            ],
        )
        control.restate(DIGITAL, EMPTY, "empty")
        control.plant_fault(Fault(kind="status", key=admin_key("research")))
        runner.collect(SPAN)
        chapters = {"first": told_by(workplace, runner, "first")}

        with open_registry(workplace.settings) as registry:
            registry.add_project(
                late.project_id, team_id=late.team_id, openai_project_id=late.openai_project_id
            )
        chapters["registered"] = told_by(workplace, runner, "registered")

        for day in (SCALED, BACK):
            control.restate(DIGITAL, day, "scale", factor=Decimal(2))
        control.restate(DIGITAL, EMPTIED, "empty")
        runner.collect(SPAN, ["search"])
        control.restate(DIGITAL, SCALED, "scale", factor=Decimal("1.5"))
        control.restate(DIGITAL, BACK, "restore")
        runner.collect(SPAN, ["support"])
        control.clear_faults()
        runner.collect(SPAN, ["research"])
        chapters["restated"] = told_by(workplace, runner, "restated")
        return chapters


@pytest.fixture(scope="module")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chapter, Bill]]:
    """Two organizations without ids on the wire; the load of a restatement broke off."""
    scenario = three_teams(wire=Wire(organization_id_on_wire=False, undocumented_fields=False))
    with opened_workplace(scenario, tmp_path_factory.mktemp("nameless")) as workplace:
        runner = workplace.runner
        runner.collect(SPAN)
        billed = workplace.truth(FIRST, LAST)
        for organization in (DIGITAL, LABS):
            workplace.server.control.restate(organization, ODD, "scale", factor=Decimal(7))
        runner.collect(SPAN)
        workplace.raw(
            "DELETE FROM raw._dlt_loads WHERE load_id = "
            "(SELECT arg_max(_dlt_load_id, collected_at) FROM raw.collections)"
        )
        yield told_by(workplace, runner, "nameless"), billed


def of(organization: str, bill: Bill) -> Bill:
    return {key: cost for key, cost in bill.items() if key[0] == organization}


def test_every_amount_that_was_read_is_published(story: dict[str, Chapter]) -> None:
    first = story["first"]
    assert first.bill() == of(DIGITAL, first.truth)
    assert first.number("SELECT min(cost) FROM fct_costs") == Decimal("-84.21")
    assert first.query("SELECT quantity, cost FROM fct_costs WHERE line_item = 'fee'") == [
        (None, Decimal("0.2"))
    ]
    emptied = "SELECT 1 FROM fct_costs WHERE is_reported AND cost_date = DATE '2026-01-02'"
    assert first.query(emptied) == []


def test_totals_are_those_of_the_newest_reading(story: dict[str, Chapter]) -> None:
    """Search read one restatement, support the next; support's was the later one."""
    restated = story["restated"]
    before = story["first"].truth
    assert restated.bill() == restated.truth
    # So that the line above says something: what each day has become.
    assert of(LABS, restated.bill())
    for key, cost in of(DIGITAL, restated.bill()).items():
        expected = before[key] * (3 if key[1] == SCALED else 1)
        assert abs(cost - expected) <= Decimal("3E-18"), "each rounded once at the 18th place"
    days = {day for _, day, _ in of(DIGITAL, restated.bill())}
    assert days == {ODD, SCALED, BACK}, "a day restated to empty has ended as empty"


def test_a_project_registered_late_is_mapped_backwards_without_a_call(
    story: dict[str, Chapter],
) -> None:
    of_triage = (
        "SELECT DISTINCT team_id, project_id FROM fct_costs WHERE openai_project_id = 'proj_triage'"
    )
    unallocated = "SELECT sum(cost) FROM rpt_unallocated_costs"
    first, registered = story["first"], story["registered"]
    assert first.query(of_triage) == [("unallocated", "unallocated")]
    assert registered.query(of_triage) == [("support", "triage")]
    assert registered.requests == 0
    assert registered.bill() == first.bill()
    moved = sum(cost for (_, _, project), cost in first.bill().items() if project == "proj_triage")
    assert first.number(unallocated) - registered.number(unallocated) == moved > 0
    assert registered.query("SELECT DISTINCT openai_project_id FROM rpt_unallocated_costs") == [
        (None,)
    ]


@MARTS
def test_daily_marts_add_up_to_the_facts(story: dict[str, Chapter], chapter: str) -> None:
    marts = story[chapter]
    total = marts.number("SELECT sum(cost) FROM fct_costs WHERE is_reported")
    assert total == sum(marts.bill().values())
    assert marts.number("SELECT sum(cost) FROM fct_project_daily_costs") == total
    assert marts.number("SELECT sum(cost) FROM fct_team_daily_costs") == total


@MARTS
@pytest.mark.parametrize(
    ("dimension", "keys"),
    [
        ("dim_teams", "team_id"),
        ("dim_projects", "project_id"),
        ("dim_organizations", "organization_id"),
    ],
)
def test_joining_a_dimension_neither_loses_nor_doubles_a_cent(
    story: dict[str, Chapter], chapter: str, dimension: str, keys: str
) -> None:
    marts = story[chapter]
    joined = marts.query(
        f"SELECT count(*), sum(cost) FROM fct_costs INNER JOIN {dimension} USING ({keys})"
    )
    assert joined == marts.query("SELECT count(*), sum(cost) FROM fct_costs")


def test_who_failed_and_why_is_in_the_collection_status(story: dict[str, Chapter]) -> None:
    failed = {
        team: (days, error)
        for team, days, error in story["first"].query(
            "SELECT team_id, count(*), any_value(error) FROM rpt_collection_status "
            "WHERE status = 'failed' AND endpoint = 'costs' GROUP BY team_id"
        )
    }
    assert {team: days for team, (days, _) in failed.items()} == dict.fromkeys(
        ("research", "mistyped", "narrow", "keyless"), len(DAYS)
    )
    reasons = {team: error for team, (_, error) in failed.items()}
    assert "OpenAI answered 500" in reasons["research"]
    assert "finops key rotate mistyped" in reasons["mistyped"]
    assert "the scope api.usage.read" in reasons["narrow"]
    assert "finops key register keyless" in reasons["keyless"]
    assert story["first"].query(
        "SELECT team_id, count(*) FROM rpt_collection_status WHERE status = 'ok' "
        "AND endpoint = 'costs' GROUP BY team_id ORDER BY team_id"
    ) == [("search", len(DAYS)), ("support", len(DAYS))]


def test_a_later_run_fills_the_gap(story: dict[str, Chapter]) -> None:
    restated = story["restated"]
    assert of(LABS, story["registered"].bill()) == {}
    assert of(LABS, restated.bill()) == of(LABS, restated.truth)
    assert restated.query(
        "SELECT DISTINCT status, error FROM rpt_collection_status "
        "WHERE team_id = 'research' AND status <> 'missing'"
    ) == [("ok", None)]


def test_nothing_published_holds_a_key(story: dict[str, Chapter]) -> None:
    for chapter in story.values():
        content = chapter.marts.read_bytes()
        for name in ("search", "research", "nobody", "lists-only"):
            assert admin_key(name).encode() not in content


def without_names(bill: Bill) -> list[tuple[date, str, Decimal]]:
    return sorted((day, project or "", cost) for (_, day, project), cost in bill.items())


def test_two_organizations_stay_two_without_their_ids(nameless: tuple[Chapter, Bill]) -> None:
    """A load that broke off counts for nothing, so the restatement is not there either."""
    chapter, billed = nameless
    assert without_names(chapter.bill()) == without_names(billed) != without_names(chapter.truth)
    assert chapter.query("SELECT organization_id FROM dim_organizations ORDER BY ALL") == [
        ("local-research",),
        ("local-search",),
    ]
    assert chapter.query(
        "SELECT cost_date, count(DISTINCT organization_id) FROM fct_costs "
        "WHERE openai_project_id IS NULL GROUP BY cost_date ORDER BY cost_date"
    ) == [(day, 2) for day in DAYS]
