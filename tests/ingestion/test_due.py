"""Which days a daily run reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.ingestion.due import due_days
from finops_pipeline.warehouse import Warehouse

YESTERDAY = date(2026, 3, 20)
OLD = date(2026, 2, 10)
DAY_END = datetime(2026, 2, 11, tzinfo=UTC)
SETTLED = DAY_END + timedelta(days=3)
SECOND = timedelta(seconds=1)
WINDOW = (date(2026, 3, 14), YESTERDAY)

Ranges = list[tuple[date, date]]


@dataclass
class Ledger:
    """The ledger in the making, for due days of team ``search``."""

    warehouse: Warehouse
    entries: int = 0

    def read(
        self,
        day: date,
        at: datetime,
        content: str | None = "A",
        *,
        team: str = "search",
        load: str = "complete",
        revision: str | None = None,
        endpoint: str = "costs",
        signature: str = "project_id",
        unread: str = "failed",
    ) -> None:
        """A reading of ``day``; without content an ``unread`` one. A new revision unless named."""
        self.entries += 1
        with self.warehouse.connect() as connection:
            connection.execute(
                "INSERT INTO raw.collections BY NAME SELECT $id AS collection_id, 'r' AS run_id, "
                "$team AS team_id, $team AS key_fingerprint, "
                "$endpoint AS endpoint, $day::DATE AS cost_date, "
                "$status AS status, $at::TIMESTAMPTZ AS collected_at, $content AS content_hash, "
                "$revision AS revision_id, $signature AS query_signature, $load AS _dlt_load_id",
                {
                    "id": str(self.entries),
                    "team": team,
                    "endpoint": endpoint,
                    "day": day,
                    "status": "ok" if content else unread,
                    "at": at,
                    "content": content,
                    "revision": (revision or f"revision {self.entries}") if content else None,
                    "signature": signature if content else None,
                    "load": load,
                },
            )

    def all_due(
        self,
        *,
        teams: Sequence[str] = ("search",),
        endpoints: Sequence[str] = ("costs",),
        settle_days: int = 3,
        first_day: date = date(2026, 1, 1),
    ) -> Ranges:
        return due_days(
            self.warehouse,
            endpoints=endpoints,
            teams=teams,
            first_day=first_day,
            yesterday=YESTERDAY,
            restatement_days=7,
            settle_days=settle_days,
        )

    def due(self, **choice: Any) -> Ranges:
        """What is due beside the newest seven days, had every other day since settled."""
        with self.other_days_settled(choice.get("teams", ("search",))):
            ranges = self.all_due(**choice)
        assert ranges.pop() == WINDOW
        return ranges

    @contextmanager
    def other_days_settled(self, teams: Sequence[str]) -> Iterator[None]:
        with self.warehouse.connect() as connection:
            connection.execute(
                "INSERT INTO raw.collections BY NAME "
                "SELECT team_id || day AS collection_id, 'r' AS run_id, team_id, "
                "'costs' AS endpoint, day::DATE AS cost_date, 'ok' AS status, "
                "day + INTERVAL 30 DAY AS collected_at, 'A' AS content_hash, "
                "'filled' AS revision_id, 'project_id' AS query_signature, "
                "'complete' AS _dlt_load_id "
                "FROM unnest($teams::VARCHAR[]) AS teams (team_id), "
                "generate_series($start::TIMESTAMPTZ, $end::TIMESTAMPTZ, INTERVAL 1 DAY) "
                "AS days (day) WHERE (team_id, day::DATE) NOT IN "
                "(SELECT (team_id, cost_date) FROM raw.collections)",
                {"teams": list(teams), "start": OLD, "end": YESTERDAY},
            )
        yield
        with self.warehouse.connect() as connection:
            connection.execute("DELETE FROM raw.collections WHERE revision_id = 'filled'")

    def built(self, unsettled: bool, sightings: str = "int_costs_sightings") -> None:
        """A build that joined the keys of ``search`` and ``joined`` to one organization."""
        with self.warehouse.connect() as connection:
            connection.execute(
                "CREATE SCHEMA IF NOT EXISTS intermediate;"
                f"CREATE OR REPLACE TABLE intermediate.{sightings} AS "
                "SELECT 'org' AS organization_id, $day::DATE AS cost_date, $settled AS is_settled;",
                {"day": OLD, "settled": not unsettled},
            )
            connection.execute(
                "CREATE OR REPLACE TABLE intermediate.int_organizations_resolved AS "
                "SELECT key_fingerprint, 'org' AS organization_id "
                "FROM unnest(['search', 'joined']) AS keys (key_fingerprint)"
            )


@pytest.fixture
def ledger(tmp_path: Path, empty_warehouse: Path) -> Ledger:
    warehouse = Warehouse(tmp_path, memory_limit="512MB")
    shutil.copyfile(empty_warehouse, warehouse.path)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO raw._dlt_loads BY NAME SELECT *, now() AS inserted_at "
            "FROM (VALUES ('complete', 0), ('failed', 1)) AS loads (load_id, status)"
        )
    return Ledger(warehouse)


ONE_DAY = [(OLD, OLD)]


def test_without_raw_tables_it_is_the_window_from_the_first_day_on(tmp_path: Path) -> None:
    ledger = Ledger(Warehouse(tmp_path, memory_limit="512MB"))
    assert ledger.all_due() == [WINDOW]
    late = date(2026, 3, 18)
    assert ledger.all_due(first_day=late) == [(late, YESTERDAY)]
    assert ledger.all_due(first_day=YESTERDAY + timedelta(days=1)) == []


@pytest.mark.parametrize(("at", "due"), [(SETTLED - SECOND, ONE_DAY), (SETTLED, [])])
def test_a_first_reading_settles_its_day_once_the_days_have_passed(
    ledger: Ledger, at: datetime, due: Ranges
) -> None:
    ledger.read(OLD, at)
    assert ledger.due() == due


def test_settling_is_a_setting(ledger: Ledger) -> None:
    ledger.read(OLD, DAY_END)
    assert ledger.due(settle_days=0) == []
    assert ledger.due(settle_days=1) == ONE_DAY


@pytest.mark.parametrize("early", [SECOND, timedelta(0)])
def test_changed_content_has_to_last_as_long_again(ledger: Ledger, early: timedelta) -> None:
    changed = SETTLED + timedelta(days=5)
    ledger.read(OLD, SETTLED, "A")
    ledger.read(OLD, changed, "B", revision="B")
    assert ledger.due() == ONE_DAY
    ledger.read(OLD, changed + timedelta(days=3) - early, "B", revision="B")
    assert ledger.due() == (ONE_DAY if early else [])


def test_there_and_back_again_began_at_the_second_time(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED, "A", revision="A")
    ledger.read(OLD, SETTLED + timedelta(days=1), "B")
    back = SETTLED + timedelta(days=2)
    # A collection that overlapped another may name the first revision again.
    ledger.read(OLD, back, "A", revision="A")
    ledger.read(OLD, back + timedelta(days=3) - SECOND, "A", revision="A")
    assert ledger.due() == ONE_DAY
    ledger.read(OLD, back + timedelta(days=3), "A", revision="A")
    assert ledger.due() == []


def test_the_same_content_landed_twice_is_no_change(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED - SECOND, "A", revision="one")
    ledger.read(OLD, SETTLED, "A", revision="other")
    assert ledger.due() == []


def test_another_grouping_is_a_change(ledger: Ledger) -> None:
    ledger.read(OLD, DAY_END, "A", signature="project_id")
    ledger.read(OLD, SETTLED, "A", signature="project_id,api_key_id")
    assert ledger.due() == ONE_DAY


def test_failed_days_are_due_however_old(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED, None)
    assert ledger.due() == ONE_DAY
    ledger.read(OLD, SETTLED + SECOND)
    assert ledger.due() == []
    ledger.read(OLD, SETTLED + 2 * SECOND, None)
    assert ledger.due() == [], "it was settled before that"


def test_a_day_is_due_while_one_of_the_teams_has_not_settled_it(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED, team="search")
    ledger.read(OLD, DAY_END, team="support")
    assert ledger.due() == []
    assert ledger.due(teams=["search", "support"]) == ONE_DAY


def test_a_day_is_due_while_its_organization_has_not_settled_it(ledger: Ledger) -> None:
    """A team that joins later finds a day restated that the others had settled."""
    joined = SETTLED + timedelta(days=9)
    ledger.read(OLD, SETTLED, "A", team="search")
    ledger.read(OLD, joined, "B", team="joined")
    ledger.read(OLD, joined, "B", team="stranger")
    assert ledger.due(teams=["search", "joined"]) == [], "each for itself has settled it"
    ledger.built(unsettled=True)
    assert ledger.due(teams=["search"]) == ledger.due(teams=["joined"]) == ONE_DAY
    assert ledger.due(teams=["stranger"]) == []
    ledger.built(unsettled=False)
    assert ledger.due(teams=["search", "joined"]) == []


def test_a_day_is_due_while_usage_of_its_organization_is_not_settled(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED)
    ledger.built(unsettled=True, sightings="int_usage_sightings")
    assert ledger.due() == ONE_DAY
    ledger.built(unsettled=False, sightings="int_usage_sightings")
    assert ledger.due() == []


def test_days_that_were_never_read_are_due_from_the_teams_first_day_on(ledger: Ledger) -> None:
    ledger.read(OLD, SETTLED)
    ledger.read(OLD + timedelta(days=3), SETTLED + timedelta(days=3))
    assert ledger.all_due() == [
        (OLD + timedelta(days=1), OLD + timedelta(days=2)),
        (OLD + timedelta(days=4), YESTERDAY),
    ]


def test_only_complete_loads_of_this_endpoint_count(ledger: Ledger) -> None:
    ledger.read(OLD, DAY_END, load="never finished")
    ledger.read(OLD, DAY_END, load="failed")
    ledger.read(OLD, DAY_END, endpoint="usage")
    assert ledger.due() == []
    ledger.read(OLD, DAY_END)
    ledger.read(OLD, SETTLED, load="never finished")
    ledger.read(OLD, SETTLED, endpoint="usage")
    assert ledger.due() == ONE_DAY


def test_a_day_is_due_while_one_endpoint_has_not_settled_it(ledger: Ledger) -> None:
    ledger.read(YESTERDAY - timedelta(days=8), SETTLED + timedelta(days=60))
    both = ("costs", "embeddings")
    assert ledger.all_due(endpoints=["costs"]) == [(YESTERDAY - timedelta(days=7), YESTERDAY)]
    assert ledger.all_due(endpoints=both) == [(YESTERDAY - timedelta(days=8), YESTERDAY)]


def test_an_endpoint_that_an_organization_does_without_waits_for_nothing(ledger: Ledger) -> None:
    days = [OLD + timedelta(days=number) for number in range((WINDOW[0] - OLD).days)]
    for day in days:
        ledger.read(day, SETTLED, None, endpoint="images", unread="unsupported")
    assert ledger.all_due(endpoints=["images"]) == [WINDOW]
    # Once it answers, it may have something to say about every day.
    ledger.read(YESTERDAY, SETTLED + SECOND, endpoint="images")
    assert ledger.all_due(endpoints=["images"]) == [(OLD, YESTERDAY)]
    # Every day but the first is refused again: asked once more, it is left alone.
    for day in days[1:]:
        ledger.read(day, SETTLED + 2 * SECOND, None, endpoint="images", unread="unsupported")
    ledger.read(YESTERDAY, SETTLED + 3 * SECOND, endpoint="images")
    assert ledger.all_due(endpoints=["images"]) == [(OLD, OLD), WINDOW]


def test_days_that_were_refused_while_a_permission_was_withdrawn_are_read_again(
    ledger: Ledger,
) -> None:
    """However often they were refused meanwhile."""
    late = SETTLED + timedelta(days=60)
    ledger.read(OLD, SETTLED, endpoint="images")
    gap = [OLD + timedelta(days=number) for number in range(1, (WINDOW[0] - OLD).days)]
    for day in gap:
        for more in (SECOND, 2 * SECOND):
            ledger.read(day, late + more, None, endpoint="images", unread="unsupported")
    assert ledger.all_due(endpoints=["images"]) == [WINDOW]
    ledger.read(YESTERDAY, late + 3 * SECOND, endpoint="images")
    assert ledger.all_due(endpoints=["images"]) == [(gap[0], YESTERDAY)]
    for day in gap:
        ledger.read(day, late + 4 * SECOND, endpoint="images")
    assert ledger.all_due(endpoints=["images"]) == [WINDOW]


def test_days_outside_of_what_is_collected_are_never_due(ledger: Ledger) -> None:
    ledger.read(OLD, DAY_END)
    ledger.read(YESTERDAY + timedelta(days=1), DAY_END)
    assert ledger.due(first_day=OLD) == ONE_DAY
    assert ledger.due(first_day=OLD + timedelta(days=1)) == []


def test_neighbouring_days_are_one_range(ledger: Ledger) -> None:
    for number in (0, 1, 2, 5, 20):
        ledger.read(OLD + timedelta(days=number), DAY_END)
    assert ledger.due() == [
        (OLD, OLD + timedelta(days=2)),
        (OLD + timedelta(days=5), OLD + timedelta(days=5)),
        (OLD + timedelta(days=20), OLD + timedelta(days=20)),
    ]
    before_the_window = WINDOW[0] - timedelta(days=1)
    ledger.read(before_the_window, DAY_END)
    with ledger.other_days_settled(["search"]):
        assert ledger.all_due()[-1] == (before_the_window, YESTERDAY)
