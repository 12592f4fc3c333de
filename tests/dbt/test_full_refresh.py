"""Marts that follow what changed equal marts made anew, after whatever happened to a company.

Three teams: two see a common project, so that their keys turn out to open one organization. Any of
their changes may be followed by any other; once in a while the marts are built, a day later each
time, as a daily run would.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.dbt.conftest import MODEL_ENDPOINTS, Marts, Warehouse, at, cost, used
from tests.dbt.test_legacy import read_legacy, told
from tests.dbt.test_request_rules import Log

GPT, MINI, UNPRICED = "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gpt-9"
DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(4)]
PROJECTS = {"one": ("a", "shared"), "two": ("b", "shared"), "three": ("c", "d")}
"""Those that a team's keys see."""

CHANGES_A_BUILD = 4
"""After the first, which has nothing to follow."""

ALIKE = {
    # A repetition is noted again by each load that brings it to light; it counts once.
    "internal.int_requests_repeated": "distinct request_id, file_id, line_number, told_in",
    "internal.int_requests_changed": "cost_date",
}
"""What has to be the same of tables that tell how they came to be; of all others it is all."""

Rows = list[dict[str, Any]]


def bills(own: str, other: str) -> list[Rows]:
    tokens: dict[str, Any] = {"quantity": Decimal(400_000), "quantity_unit": "tokens"}
    return [
        [cost("1", own, line_item=f"{GPT}, input", **tokens)],
        [
            cost("1.000000000000000001", own, line_item=f"{GPT}, input", **tokens),
            cost("0.06", other, line_item=f"{MINI}, input", **tokens),
            cost("-0.5", other, line_item=f"{UNPRICED}, output", **tokens),
        ],
        [
            cost("2.5", other, line_item="Vector storage"),
            cost("0.25", None, line_item=None),
            cost("3", own, line_item=f"{GPT}, output", currency="EUR"),
        ],
        [],
    ]


def usages(own: str, other: str) -> list[Rows]:
    return [
        [used(GPT, own, input_tokens=400_000)],
        [used(GPT, own, input_tokens=300_000), used(MINI, other, input_tokens=400_000)],
        [used(UNPRICED, other, output_tokens=1_000)],
        [],
    ]


class Reading(NamedTuple):
    """What is read, with which of the team's keys, which of the answers comes, and how it lands."""

    team: str
    day: date
    key: int
    answer: int
    is_complete: bool = True
    is_of_last_run: bool = False
    is_late: bool = False


one_reading = st.builds(
    Reading,
    st.sampled_from(list(PROJECTS)),
    st.sampled_from(DAYS),
    key=st.integers(0, 3),
    answer=st.integers(0, 3),
    is_complete=st.sampled_from([True, True, True, False]),
    is_of_last_run=st.booleans(),
    is_late=st.sampled_from([False, False, True]),
)
some_readings = st.lists(one_reading, min_size=1, max_size=4)


class Company(RuleBasedStateMachine):
    """What happens to a company, and a build after every few changes."""

    marts: Marts

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__()
        self.warehouse = warehouse
        self.clock = at(DAYS[-1], 20)
        self.builds = 0
        self.changes = 0
        self.choices: dict[str, Any] = {}
        self.organizations: dict[str, str | None] = {}
        self.keys: dict[str, list[str]] = {team: [] for team in PROJECTS}
        warehouse.price(GPT, MINI, UNPRICED)
        warehouse.project("a", ("one", None, None))
        warehouse.project("shared", ("one", None, DAYS[2]), ("two", DAYS[2], None))
        for team in PROJECTS:
            warehouse.team(team)
            self.open(team, organization=None)
            every_day = [Reading(team, day, key=0, answer=0) for day in DAYS]
            self.read_costs(every_day)
            self.read_usage(every_day, is_whole=False)
        self.changes = 0

    def open(self, team: str, organization: str | None) -> None:
        fingerprint = f"{team}'s key {len(self.keys[team])}"
        self.keys[team].append(fingerprint)
        self.warehouse.key(team, fingerprint)
        self.organizations[fingerprint] = organization

    def how(self, reading: Reading) -> dict[str, Any]:
        """When, by which run and with which key; no two readings at the same moment."""
        self.clock += timedelta(hours=3, microseconds=1)
        key = self.keys[reading.team][reading.key % len(self.keys[reading.team])]
        return {
            "when": self.clock - timedelta(hours=50 if reading.is_late else 0),
            "key": key,
            "organization_id": self.organizations[key],
            "complete": reading.is_complete,
            "run_id": f"run {self.builds - reading.is_of_last_run}",
        }

    @rule()
    def do_nothing(self) -> None:
        """The simplest example is this alone; it is always tried, and so costs no build."""

    @rule(readings=some_readings)
    def read_costs(self, readings: list[Reading]) -> None:
        self.changes += 1
        for reading in readings:
            rows = bills(*PROJECTS[reading.team])[reading.answer]
            self.warehouse.read(reading.team, reading.day, rows, **self.how(reading))

    @rule(readings=some_readings, is_whole=st.booleans())
    def read_usage(self, readings: list[Reading], is_whole: bool) -> None:
        self.changes += 1
        for reading in readings:
            how = self.how(reading)
            told_by = {"completions": usages(*PROJECTS[reading.team])[reading.answer]}
            for endpoint in MODEL_ENDPOINTS if is_whole else told_by:
                rows = told_by.get(endpoint, [])
                self.warehouse.read(reading.team, reading.day, rows, endpoint=endpoint, **how)

    @rule(reading=one_reading)
    def read_legacy_usage(self, reading: Reading) -> None:
        self.changes += 1
        own, other = PROJECTS[reading.team]
        keys = [[own], [other], [own, other], [own, other]][reading.answer]
        rows = [told(key, output_tokens=1_000 * reading.answer) for key in keys]
        read_legacy(
            *(self.warehouse, reading.team, reading.day, rows),
            keys=keys,
            when=self.how(reading)["when"],
            content=f"answer {reading.answer}",
        )

    @rule(
        reading=one_reading,
        endpoint=st.sampled_from(["costs", "completions", "images"]),
        status=st.sampled_from(["failed", "unsupported"]),
    )
    def fail_to_read(self, reading: Reading, endpoint: str, status: str) -> None:
        self.changes += 1
        how = self.how(reading)
        self.warehouse.fail(
            *(reading.team, reading.day, how["when"], "out"),
            status=status,
            endpoint=endpoint,
            key_fingerprint=how["key"],
            run_id=how["run_id"],
        )

    @rule(reading=one_reading, project=st.sampled_from(["a", "shared", None]))
    def log_requests(self, reading: Reading, project: str | None) -> None:
        """Two of them, of which other files may tell as well."""
        self.changes += 1
        log = Log(self.warehouse)
        log.new_load(complete=reading.is_complete)
        when = self.how(reading)["when"]
        file = {"day": reading.day, "landed_at": when, "file_id": str(when)}
        for number in (reading.answer, reading.answer + 1):
            log.add(f"request {number}", project, **file)

    @precondition(lambda self: any(load["status"] for load in self.warehouse.tables["_dlt_loads"]))
    @rule()
    def loads_become_complete(self) -> None:
        self.changes += 1
        for load in self.warehouse.tables["_dlt_loads"]:
            load["status"] = 0

    @rule(
        project=st.sampled_from(["a", "b", "shared", "d"]),
        teams=st.permutations(list(PROJECTS)),
        periods=st.sampled_from([[], [(None, None)], [(None, 1), (1, None)], [(1, 2)]]),
    )
    def register(
        self, project: str, teams: list[str], periods: list[tuple[int | None, int | None]]
    ) -> None:
        """Whatever the project was before: nobody's, one team's, moved, given up."""
        self.changes += 1
        tables = self.warehouse.tables
        for table in ("projects", "project_ownership"):
            tables[table] = [row for row in tables[table] if row["project_id"] != project]
        days: dict[int | None, date | None] = {None: None, **dict(enumerate(DAYS))}
        owners = [
            (team, days[first], days[end])
            for team, (first, end) in zip(teams, periods, strict=False)
        ]
        self.warehouse.project(project, *owners)

    @rule(team=st.sampled_from(list(PROJECTS)), organization=st.sampled_from([None, "x", "y"]))
    def open_with_another_key(self, team: str, organization: str | None) -> None:
        self.changes += 1
        self.open(team, organization)

    @rule(team=st.sampled_from(list(PROJECTS)), organization=st.sampled_from(["x", "y"]))
    def hear_of_organization(self, team: str, organization: str) -> None:
        """From now on OpenAI says whose rows they are."""
        self.organizations[self.keys[team][-1]] = organization

    @rule(
        model=st.sampled_from(["gpt-4o", "gpt-4o-mini"]),
        factor=st.sampled_from([2, Decimal("0.8")]),
        is_agreed=st.booleans(),
    )
    def change_price(self, model: str, factor: int | Decimal, is_agreed: bool) -> None:
        """In the list for all days, or from the second day on as agreed beside the list."""
        self.changes += 1
        self.warehouse.price(GPT, MINI, UNPRICED)
        prices = self.warehouse.tables["model_prices"]
        agreed = {"source": "override", "valid_from": DAYS[1]} if is_agreed else {}
        changed = [
            price | {"unit_price": price["unit_price"] * factor} | agreed
            for price in prices
            if price["price_model"] == model
        ]
        kept = [price for price in prices if is_agreed or price["price_model"] != model]
        self.warehouse.tables["model_prices"] = kept + changed

    @rule(
        organization=st.sampled_from(["x", "local-one"]),
        tokens=st.sampled_from([0, 100_000, 900_000]),
    )
    def declare_complimentary_tokens(self, organization: str, tokens: int) -> None:
        self.changes += 1
        declaration = {"declaration_number": 1, "organization_id": organization}
        self.warehouse.tables["complimentary_tokens"] = [
            declaration | {"price_model": "gpt-4o", "tokens_a_day": tokens}
        ][: bool(tokens)]

    @rule(
        choice=st.sampled_from(
            [
                *[("settle_days", days) for days in (0, 1)],
                *[("cost_source", source) for source in ("costs_v1", "usage_v1")],
                *[("tolerance", Decimal(share)) for share in ("0.02", "0.5")],
                *[("request_tolerance", Decimal(share)) for share in ("0.02", "0.5")],
            ]
        )
    )
    def choose(self, choice: tuple[str, Any]) -> None:
        self.changes += 1
        name, value = choice
        self.choices[name] = value

    @invariant()
    def build_after_some_changes(self) -> None:
        if self.changes >= (CHANGES_A_BUILD if self.builds else 1):
            self.build()

    def build(self) -> None:
        today = self.clock.date() + timedelta(days=1)
        self.warehouse.settings(today, **self.choices)
        self.marts = self.warehouse.run()
        self.builds += 1
        self.changes = 0

    def teardown(self) -> None:
        """Every table, and every signature that is remembered, is the same row for row."""
        if self.changes:
            self.build()
        if self.builds:
            anew = compared(self.warehouse.build_anew())
            followed = compared(self.marts)
            assert followed.keys() == anew.keys()
            for table, rows in followed.items():
                assert rows == anew[table], table


def compared(marts: Marts) -> dict[str, list[tuple[Any, ...]]]:
    return marts.tables() | {table: marts.rows(table, columns) for table, columns in ALIKE.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examples", "steps"),
    [(2, 21), pytest.param(9, 30, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_marts_that_follow_changes_equal_marts_made_anew(
    new_warehouse: Callable[[], Warehouse], examples: int, steps: int
) -> None:
    """The first of the examples does nothing."""

    class CompanyHere(Company):
        def __init__(self) -> None:
            super().__init__(new_warehouse())

    bounded = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],  # shrinking would run dbt hundreds of times
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(CompanyHere, settings=bounded)
