"""Random histories: facts that follow what changed equal facts made anew, and what Python says.

A history is one company: two teams with a key each, three days, three projects. Its readings come
late, twice, empty, back as they were before, in loads that never end; projects are registered,
moved and given up at any time. Whether the two keys open one organization may show only later.
Many histories share one warehouse, because a build of one takes as long as a build of all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost

DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(3)]
SETTLE = timedelta(days=3)
EVER = at(date(9000, 1, 1))
MODELS = (
    "--select",
    "+costs_as_of",
    "+fct_restatements",
    "+fct_team_daily_costs",
    "+rpt_collections",
    "+rpt_restatement_lag",
    "+rpt_unallocated_costs",
)

Rows = list[dict[str, Any]]


@dataclass
class Reading:
    team: str
    day: date
    moment: datetime
    rows: Rows

    @property
    def content(self) -> list[str]:
        return sorted(repr(sorted(row.items(), key=str)) for row in self.rows)


@dataclass
class Company:
    """What happened to one company, and what follows from it."""

    name: str
    chance: random.Random
    is_wired: bool
    readings: list[Reading] = field(default_factory=list)
    owners: dict[str, list[tuple[str, date | None, date | None]]] = field(default_factory=dict)
    answers: dict[date, list[Rows]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.teams = [f"{self.name}-one", f"{self.name}-two"]
        self.projects = [f"{self.name}-{letter}" for letter in "abc"]
        self.answers = {day: [[], *(self._answer() for _ in range(2))] for day in DAYS}

    def _answer(self) -> Rows:
        return [
            cost(
                self.chance.choice(["1", "2.000000000000000001", "-0.5", "0"]),
                self.chance.choice([*self.projects, *self.projects, None]),
                line_item=self.chance.choice(["gpt-5, input", "Vector storage", None]),
                currency=self.chance.choice(["USD", "USD", "USD", "EUR"]),
            )
            for _ in range(self.chance.randint(1, 4))
        ]

    def organizations(self) -> dict[str, str]:
        """Of each team's key: the wire's, or one for both once they saw a common project."""
        if self.is_wired:
            return dict.fromkeys(self.teams, f"org-{self.name}")
        seen: dict[str, set[str]] = {team: set() for team in self.teams}
        for reading in self.readings:
            seen[reading.team] |= {row["project_id"] for row in reading.rows if row["project_id"]}
        first, second = self.teams
        is_one = bool(seen[first] & seen[second])
        return {first: f"local-{first}", second: f"local-{first if is_one else second}"}

    def buckets(self, until: datetime) -> dict[tuple[str, date], list[Reading]]:
        found = defaultdict(list)
        organizations = self.organizations()
        for reading in sorted(self.readings, key=lambda reading: reading.moment):
            if reading.moment <= until:
                found[organizations[reading.team], reading.day].append(reading)
        return found

    def owner(self, project: str | None, day: date) -> tuple[str, str]:
        for team, first, end in self.owners.get(str(project)[len("proj_") :], []):
            if (first or date.min) <= day < (end or date.max):
                return team, str(project)[len("proj_") :]
        return "unallocated", "unallocated"

    def lines(self, until: datetime) -> Iterator[tuple[Any, ...]]:
        """Line items as known then: what each organization's newest reading of a day said."""
        for (organization, day), readings in self.buckets(until).items():
            sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
            for row in readings[-1].rows:
                sums[row["project_id"], row["line_item"], row["currency"]] += row["amount"]
            for (project, item, currency), total in sums.items():
                yield (
                    *(day, organization, project, item, currency, total),
                    *(*self.owner(project, day), is_settled(day, readings)),
                )

    def restatements(self) -> Iterator[tuple[Any, ...]]:
        for (organization, day), readings in self.buckets(EVER).items():
            said: list[tuple[datetime, dict[tuple[str | None, str], Decimal]]] = []
            for reading in readings:
                sums: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
                for row in reading.rows:
                    sums[row["project_id"], row["currency"]] += row["amount"]
                said.append((reading.moment, sums))
            for project, currency in {key for _, sums in said for key in sums}:
                before: Decimal | None = None
                revision = 0
                for moment, sums in said:
                    amount = sums.get((project, currency), Decimal(0))
                    if amount != before:
                        revision += 1
                        yield (
                            *(day, self.owner(project, day)[0], organization, project, currency),
                            *(revision, moment, amount, before, amount - (before or Decimal(0))),
                        )
                        before = amount


def is_settled(day: date, readings: list[Reading]) -> bool:
    newest = readings[-1]
    others = [reading for reading in readings if reading.content != newest.content]
    began = min(
        reading.moment for reading in readings if not others or reading.moment > others[-1].moment
    )
    return newest.moment >= at(day, days=1) + SETTLE and (
        not others or newest.moment >= began + SETTLE
    )


class Histories:
    """Companies in one warehouse, and the clock that they share."""

    def __init__(self, warehouse: Warehouse, seed: int, companies: int) -> None:
        self.warehouse = warehouse
        self.chance = random.Random(seed)
        self.clock = at(DAYS[0], 20)
        self.runs: list[str] = []
        self.companies = [
            Company(f"c{number}", self.chance, is_wired=number % 3 == 0)
            for number in range(companies)
        ]
        for company in self.companies:
            for team in company.teams:
                warehouse.team(team, f"key-{team}")

    def step(self) -> None:
        # A run makes several readings, and may still be at it while the next one reads.
        self.runs = [*self.runs[-1:], f"run {self.clock}"]
        for _ in range(3):
            self.clock += timedelta(hours=self.chance.choice([1, 14, 40]))
            for company in self.companies:
                self.read(company)
        for company in self.companies:
            if self.chance.random() < 0.4:
                self.register(company)
        self.warehouse.settings(date(2026, 4, 1))

    def read(self, company: Company) -> None:
        day = self.chance.choice(DAYS)
        # Sometimes what was read first lands last.
        moment = self.clock - timedelta(hours=self.chance.choice([0, 0, 0, 30]))
        moment += timedelta(microseconds=len(self.warehouse.tables["collections"]))
        reading = Reading(
            self.chance.choice(company.teams),
            day,
            moment,
            self.chance.choice(company.answers[day]),
        )
        complete = self.chance.random() < 0.9
        self.warehouse.read(
            reading.team,
            day,
            reading.rows,
            moment,
            key=f"key-{reading.team}",
            organization_id=f"org-{company.name}" if company.is_wired else None,
            complete=complete,
            run_id=self.chance.choice(self.runs),
        )
        if complete:
            company.readings.append(reading)

    def register(self, company: Company) -> None:
        project, (one, two) = self.chance.choice(company.projects), company.teams
        company.owners[project] = self.chance.choice(
            [
                [],
                [(one, None, None)],
                [(one, None, DAYS[1]), (two, DAYS[1], None)],
                [(two, DAYS[1], DAYS[2])],
            ]
        )
        tables = self.warehouse.tables
        for table in ("projects", "project_ownership"):
            tables[table] = [row for row in tables[table] if row["project_id"] != project]
        self.warehouse.project(project, *company.owners[project])

    def check(self, marts: Marts, moment: datetime) -> None:
        """The marts say what follows from the readings, now and as known at that moment."""
        line = (
            "cost_date, organization_id, openai_project_id, line_item, currency, cost, team_id,"
            " project_id, is_settled"
        )
        for source, until in [
            ("fct_costs", self.clock + timedelta(days=1)),
            (f"costs_as_of('{moment.isoformat()}')", moment),
        ]:
            expected = [row for company in self.companies for row in company.lines(until)]
            assert in_order(marts.query(f"select {line} from {source}")) == in_order(expected)
        expected = [row for company in self.companies for row in company.restatements()]
        assert in_order(marts.query("from fct_restatements")) == in_order(expected)
        for table in ("fct_project_daily_costs", "fct_team_daily_costs"):
            assert (
                marts.query(
                    f"select cost_date, team_id, currency, sum(cost) from {table} group by all"
                    " except select cost_date, team_id, currency, sum(cost) from fct_costs"
                    " group by all"
                )
                == []
            )
        assert (
            marts.query(
                "select cost_date, organization_id, openai_project_id, currency, sum(change)"
                f" from fct_restatements where collected_at <= '{moment.isoformat()}'"
                " group by all having sum(change) != 0 except"
                " select cost_date, organization_id, openai_project_id, currency, sum(cost)"
                f" from costs_as_of('{moment.isoformat()}') group by all"
            )
            == []
        )


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def live(warehouse: Warehouse, seed: int, *, companies: int, steps: int) -> None:
    histories = Histories(warehouse, seed, companies)
    for _ in range(steps):
        histories.step()
        marts = warehouse.run(*MODELS)
        earlier = histories.clock - timedelta(hours=histories.chance.randrange(1, 100))
        histories.check(marts, earlier)
        anew = warehouse.build_anew(*MODELS).tables()
        assert {name: len(rows) for name, rows in marts.tables().items()} == {
            name: len(rows) for name, rows in anew.items()
        }
        for name, rows in marts.tables().items():
            assert rows == anew[name], name


@pytest.mark.slow
def test_some_histories(warehouse: Warehouse) -> None:
    live(warehouse, seed=1, companies=8, steps=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_histories(new_warehouse: Callable[[], Warehouse], seed: int) -> None:
    live(new_warehouse(), seed=100 + seed, companies=20, steps=5)
