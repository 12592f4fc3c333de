"""Scenarios: the same from the same seed, read from files, refused with reasons."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import Scenario, load_scenario

NOW = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
START = date(2025, 12, 6)


def minimal() -> dict[str, Any]:
    return {
        "start": "2026-01-01",
        "organizations": [
            {
                "id": "org-1",
                "name": "One",
                "admin_keys": ["sk-admin-one"],
                "projects": [{"id": "proj_1", "uses": ["gpt-4o-2024-08-06"]}],
                "charges": [{"day": "2026-01-02", "amount": "-1.10"}],
            }
        ],
    }


def test_one_seed_gives_the_same_bytes_and_another_seed_others(
    open_company: Callable[[Scenario], Any],
) -> None:
    pages = [
        open_company(Scenario.demo(start=START, now=NOW, seed=seed)).costs(START, limit=60).content
        for seed in (3, 3, 4)
    ]
    assert pages[0] == pages[1]
    assert pages[0] != pages[2]


def test_a_day_does_not_depend_on_when_the_history_starts(
    open_company: Callable[[Scenario], Any],
) -> None:
    day = date(2026, 3, 9)
    early, late = (
        open_company(Scenario.demo(start=start, now=NOW)).costs(day, day + timedelta(days=5))
        for start in (START, date(2026, 2, 1))
    )
    assert early.content == late.content


def test_the_demos_company_is_as_described(unchanging: Any) -> None:
    scenario = unchanging.server.scenario
    assert len(scenario.organizations) == 2
    assert [len(each.admin_keys) for each in scenario.organizations] == [2, 1]
    assert [team.admin_key for team in scenario.registration.teams] == unchanging.keys
    registered = {project.openai_project_id for project in scenario.registration.projects}
    existing = [project for each in scenario.organizations for project in each.projects]
    assert len(registered) == 8
    assert len({project.id for project in existing} - registered) == 1
    assert registered < {project.id for project in existing}
    assert all(re.fullmatch(r"proj_[0-9a-z]{24}", project.id) for project in existing)


def test_the_demos_line_items_have_every_form(unchanging: Any) -> None:
    found = {
        row["line_item"]
        for key in unchanging.keys[1:]
        for bucket in unchanging.buckets(START, key=key)
        for row in bucket["results"]
    }
    assert found >= {
        "gpt-4o-2024-08-06, input",
        "gpt-5-2025-08-07, cached input",
        "priority | gpt-4o-2024-08-06, output",
        "batch | gpt-4.1-2025-04-14, input",
        "flex | o4-mini-2025-04-16, output",
        "evals | gpt-4o-mini-2024-07-18, input",
        "assistants api | gpt-4o-2024-08-06, output",
        "assistants api | file search",
        "web search tool calls",
        "Vector storage",
        "Image models",
        "ft-gpt-4o-mini-2024-07-18, output",
        "gpt-4o-audio-preview-2024-12-17 audio, input",
        "gpt-image-1 image, output",
        "gpt-4.1-2025-04-14, input, long context",
        "gpt-5.4-2026-03-05, cached_input_tokens",
        "gpt-5.4-2026-03-05, cache writes",
        None,
    }


def daily(company: Any, project_id: str) -> dict[date, Decimal]:
    sums: dict[date, Decimal] = defaultdict(Decimal)
    for total in company.control.totals(end=date(2026, 4, 1)):
        if total.project_id == project_id and total.amount > 0:
            sums[total.day] += total.amount
    return sums


def test_weekends_are_low_months_grow_and_one_day_spikes(unchanging: Any) -> None:
    agents = unchanging.server.scenario.registration.projects[6].openai_project_id
    sums = daily(unchanging, agents)
    spike = max(sums, key=lambda day: sums[day])
    others = [day for day in sums if day != spike]
    weekend = [sums[day] for day in others if day.weekday() >= 5]
    weekdays = [sums[day] for day in others if day.weekday() < 5]
    assert sum(weekend) / len(weekend) < sum(weekdays) / len(weekdays) / 2
    assert sums[spike] > 3 * max(weekdays)
    by_month = defaultdict(list)
    for day in others:
        if day.weekday() < 5:
            by_month[day.month].append(sums[day])
    assert sum(by_month[3]) / len(by_month[3]) > sum(by_month[12]) / len(by_month[12])


def test_an_archived_project_stops_spending(unchanging: Any) -> None:
    [archived] = [project for project in unchanging.organization.projects if project.archived_on]
    assert max(daily(unchanging, archived.id)) < archived.archived_on


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
def test_a_scenario_is_read_from_a_file(
    tmp_path: Path, write: Callable[[Any], str], open_company: Callable[[Scenario], Any]
) -> None:
    path = tmp_path / "scenario"
    path.write_text(write({**minimal(), "now": "2026-02-01T00:00:00Z"}), encoding="utf-8")
    company = open_company(load_scenario(path))
    rows = company.rows(date(2026, 1, 2))
    assert rows[-1]["amount"]["value"] == Decimal("-1.10")
    assert len(rows) == 4


def test_the_demo_survives_the_way_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    scenario = Scenario.demo(start=START, now=NOW)
    path.write_text(scenario.model_dump_json(), encoding="utf-8")
    assert load_scenario(path) == scenario


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start": "soon"}, "start"),
        ({"organizations": []}, "organizations"),
        ({"colour": "red"}, "colour"),
        ({"now": "2026-01-01T00:00:00"}, "now"),
        ({"organizations": minimal()["organizations"] * 2}, "same id"),
        ({"wire": {"amounts": "words"}}, "wire.amounts"),
        (
            {
                "registration": {
                    "projects": [
                        {
                            "project_id": "p",
                            "name": "P",
                            "team_id": "nobody",
                            "openai_project_id": "proj_1",
                        }
                    ]
                }
            },
            "unknown team nobody",
        ),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_field(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump({**minimal(), **change}), encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(says)) as refusal:
        load_scenario(path)
    assert str(path) in refusal.value.message
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"charges": [{"day": "2026-01-02", "amount": 1.1}]}, "quoted text"),
        ({"charges": [{"day": "2026-01-02", "amount": "NaN"}]}, "charges"),
        ({"projects": [{"id": "p", "uses": ["gpt-4o"]}]}, "did you mean 'gpt-4o-2024-08-06'"),
        ({"spikes": [{"project_id": "p", "day": "2026-01-02", "factor": 2}]}, "no project p"),
        ({"projects": [], "rows_per_day": 5}, "rows_per_day"),
        ({"admin_keys": ["sk-admin-one", "sk-admin-one"]}, "listed twice"),
    ],
)
def test_a_wrong_organization_is_refused_with_its_field(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    described = minimal()
    described["organizations"][0].update(change)
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(described), encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(says)):
        load_scenario(path)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_scenario(tmp_path / "missing.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("start: [", encoding="utf-8")
    with pytest.raises(UsageError, match="neither YAML nor JSON"):
        load_scenario(broken)
