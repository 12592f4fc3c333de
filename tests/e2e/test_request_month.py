"""A month of a simulated company's requests: each has its share of the bill, to the last digit."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.simulator import Scenario
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.requests import write_request_logs
from finops_pipeline.simulator.restatement import Restatement
from tests.request_bills import (
    Key,
    Sums,
    day_of,
    rest_billed,
    shares,
    tokens_billed,
    tokens_unexplained,
)
from tests.workplace import Workplace, opened_workplace

pytestmark = [pytest.mark.soak, pytest.mark.slow]

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
NOW = datetime(2026, 4, 8, 9, tzinfo=UTC)
TOKENS_PER_REQUEST = 20_000
"""Some 12,000 requests on a weekday, with every key, model, tier and modality of the company."""

LOST_OF_A_HUNDRED = 5
RESTATED = date(2026, 3, 17)
FACTOR = Decimal("1.03")
"""Within the tolerance, so that what is restated stays matched."""


@dataclass(frozen=True)
class Month:
    """A company whose month is settled, and its requests in files."""

    workplace: Workplace
    organizations: tuple[Organization, ...]
    logs: tuple[Path, ...]

    @property
    def days(self) -> Iterator[tuple[Organization, date]]:
        for organization in self.organizations:
            for number in range((LAST - FIRST).days + 1):
                yield organization, FIRST + timedelta(days=number)

    def load_and_build(self, files: Sequence[Path]) -> int:
        """As `finops requests load` does; the requests that landed."""
        self.workplace.pipeline = replace(self.workplace.pipeline, request_files=lambda: files)
        landing = self.workplace.runner.load_requests()
        self.workplace.build()
        return landing.new

    def statuses(self, where: str = "true") -> dict[str, int]:
        return dict(
            self.workplace.marts(
                "SELECT reconciliation_status, count(*) FROM fct_request_costs "
                f"WHERE request_id IS NOT NULL AND {where} GROUP BY ALL"
            )
        )

    def sums(self, of_day: Callable[[Organization, date], Sums]) -> Sums:
        """Of all days."""
        return {
            key: amount
            for organization, day in self.days
            for key, amount in of_day(organization, day).items()
        }

    def rest(self) -> dict[tuple[date, str, str | None], Decimal]:
        """What was billed without a model and no request explains."""
        return {
            (day, organization, project): amount
            for day, organization, project, amount in self.workplace.marts(
                "SELECT cost_date, organization_id, openai_project_id, sum(billed_cost) "
                "FROM fct_request_costs WHERE request_id IS NULL AND model IS NULL GROUP BY ALL"
            )
        }

    def rest_expected(self) -> dict[tuple[date, str, str | None], Decimal]:
        return {
            (day, organization.simulated.id, project): amount
            for organization, day in self.days
            for project, amount in rest_billed(organization, day).items()
        }


@contextmanager
def opened_month(folder: Path) -> Iterator[Month]:
    scenario = Scenario.demo(start=FIRST, now=NOW)
    with opened_workplace(scenario, folder) as workplace:
        workplace.collect(FIRST, LAST)
        logs = write_request_logs(
            scenario, folder / "logs", FIRST, LAST, tokens_per_request=TOKENS_PER_REQUEST
        )
        organizations = tuple(
            Organization(each, seed=scenario.seed, start=scenario.start)
            for each in scenario.organizations
        )
        yield Month(workplace, organizations, tuple(logs))


def lines_of(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with path.open() as log:
            yield from map(json.loads, log)


def test_a_whole_month_is_matched_and_follows_a_restated_day(tmp_path: Path) -> None:
    with opened_month(tmp_path) as month:
        count = sum(1 for _ in lines_of(month.logs))
        assert month.load_and_build(month.logs) == count
        assert month.statuses() == {"matched": count}
        expected = month.sums(tokens_billed)
        assert len({key.model for key in expected}) > 12
        assert shares(month.workplace.marts, "request_id IS NOT NULL") == expected
        assert shares(month.workplace.marts, "request_id IS NULL") == {}
        assert month.rest() == month.rest_expected()

        for organization in month.organizations:
            month.workplace.server.control.restate(
                organization.simulated.id, RESTATED, "scale", factor=FACTOR
            )
            organization.restate(RESTATED, Restatement(operation="scale", factor=FACTOR))
        month.workplace.collect(RESTATED, RESTATED)
        month.workplace.build()
        of_day = f"cost_date = '{RESTATED}'"
        pending = month.statuses(of_day)
        assert month.statuses() == {"matched": count - pending["pending"], **pending}
        assert pending.keys() == {"pending"}, "it may change again"
        restated = month.sums(tokens_billed)
        assert {key for key in restated if restated[key] != expected[key]} == {
            key for key in expected if key.day == RESTATED
        }
        assert shares(month.workplace.marts, "request_id IS NOT NULL") == restated
        # All that was read was read days ago, and the same is read again.
        month.workplace.raw(
            "UPDATE raw.collections SET collected_at = collected_at - INTERVAL 9 DAY"
        )
        month.workplace.collect(RESTATED, RESTATED)
        month.workplace.build()
        assert month.statuses() == {"matched": count}
        assert shares(month.workplace.marts, "request_id IS NOT NULL") == restated
        assert month.rest() == month.rest_expected()


def test_what_was_lost_of_a_month_is_unexplained_and_no_other_request_pays_for_it(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    lost: dict[tuple[str, date], list[dict[str, Any]]] = {}
    kept = 0
    with opened_month(tmp_path) as month:
        projects = {
            project.id: organization.simulated.id
            for organization in month.organizations
            for project in organization.simulated.projects
        }
        for path in month.logs:
            lines = list(lines_of([path]))
            left = []
            for line in lines:
                if chance.randrange(100) < LOST_OF_A_HUNDRED:
                    place = projects[line["openai_project_id"]], day_of(line)
                    lost.setdefault(place, []).append(line)
                else:
                    left.append(line)
            path.write_text("".join(f"{json.dumps(line)}\n" for line in left))
            kept += len(left)
        assert month.load_and_build(month.logs) == kept
        assert month.statuses() == {"matched": kept}
        billed = month.sums(tokens_billed)
        expected = month.sums(
            lambda organization, day: tokens_unexplained(
                organization, day, lost.get((organization.simulated.id, day), ())
            )
        )
        assert len(expected) > 1_000
        assert shares(month.workplace.marts, "request_id IS NULL") == expected
        explained = Counter[Key](billed)
        explained.subtract(expected)
        assert shares(month.workplace.marts, "request_id IS NOT NULL") == +explained
        assert month.rest() == month.rest_expected()
