"""Raw data is immutable: what a bucket says changes by revisions, and only when it changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from finops_pipeline.simulator import RestatedRow
from finops_pipeline.simulator.restatement import Operation
from tests.ingestion.company import DIGITAL, FIRST, SimulatedCompany

LAST = FIRST + timedelta(days=2)
TENTH = RestatedRow(amount=Decimal("0.1"), project_id="proj_ranking", line_item="fee")


def test_an_unchanged_reading_is_a_ledger_entry_alone(company: SimulatedCompany) -> None:
    first = company.collect(FIRST, LAST)
    rows = company.count("costs")
    again = company.collect(FIRST, LAST)

    assert first.rows_landed == rows > 0
    assert all(bucket.changed for bucket in first.buckets)
    assert again.rows_landed == 0
    assert not any(bucket.changed for bucket in again.buckets)
    assert company.count("costs") == rows
    assert company.count("collections") == 2 * 3 * 3
    per_bucket = company.raw(
        "SELECT count(*), count(DISTINCT revision_id), count(DISTINCT collection_id) "
        "FROM raw.collections GROUP BY team_id, cost_date"
    )
    assert per_bucket == [(2, 1, 2)] * 9


@pytest.mark.parametrize("operation", ["reorder", "rewrite_literals"])
def test_another_writing_is_no_revision(company: SimulatedCompany, operation: Operation) -> None:
    control = company.server.control
    control.restate(DIGITAL, FIRST, "add", rows=[TENTH])
    company.collect(FIRST)
    rows = company.count("costs")
    control.restate(DIGITAL, FIRST, operation)
    control.set_wire(amounts="string", organization_id_on_wire=False, undocumented_fields=False)
    again = company.collect(FIRST)
    assert again.rows_landed == 0
    assert company.count("costs") == rows


@pytest.mark.parametrize(
    "restate",
    [
        lambda control: control.restate(DIGITAL, FIRST, "scale", factor=Decimal("1.000000001")),
        lambda control: control.restate(DIGITAL, FIRST, "add", rows=[TENTH]),
        lambda control: control.restate(DIGITAL, FIRST, "empty"),
    ],
    ids=["amounts", "one row more", "no rows"],
)
def test_a_restatement_is_a_revision_of_its_own_day_alone(
    company: SimulatedCompany, restate: Callable[[object], None]
) -> None:
    company.collect(FIRST, LAST)
    restate(company.server.control)
    again = company.collect(FIRST, LAST)

    changed = {(bucket.team_id, bucket.day) for bucket in again.buckets if bucket.changed}
    assert changed == {("search", FIRST), ("support", FIRST)}
    for team in ("search", "support"):
        assert company.seen(team) == company.truth(DIGITAL, FIRST, LAST)


def test_a_bucket_restated_to_empty_ends_as_empty(company: SimulatedCompany) -> None:
    company.collect(FIRST)
    company.server.control.restate(DIGITAL, FIRST, "empty")
    company.collect(FIRST)
    assert company.seen("search") == {}
    (full, empty) = company.entries(
        "status, row_count, cost, currency, revision_id", "team_id = 'search'"
    )
    assert full[0] == "ok"
    assert empty[:4] == ("ok", 0, Decimal(0), None)
    assert empty[4] != full[4]
    assert company.raw("SELECT 1 FROM raw.costs WHERE revision_id = $it", it=empty[4]) == []


def test_there_and_back_again_is_three_revisions(company: SimulatedCompany) -> None:
    before = company.truth(DIGITAL, FIRST)
    company.collect(FIRST)
    company.server.control.restate(DIGITAL, FIRST, "scale", factor=Decimal(2))
    company.collect(FIRST)
    company.server.control.restate(DIGITAL, FIRST, "restore")
    company.collect(FIRST)

    entries = company.entries("revision_id, content_hash", "team_id = 'search'")
    assert len({revision for revision, _ in entries}) == 3
    assert entries[0][1] == entries[2][1] != entries[1][1]
    landed = company.raw("SELECT DISTINCT revision_id FROM raw.costs WHERE team_id = 'search'")
    assert len(landed) == 3
    assert company.seen("search") == before


def test_another_grouping_is_another_revision(company: SimulatedCompany) -> None:
    """The same hash over other columns would not be the same statement about the day."""
    company.server.control.restate(DIGITAL, FIRST, "empty")
    company.collect(FIRST, teams=["search"])
    with company.warehouse.connect() as connection:
        connection.execute("UPDATE raw.collections SET query_signature = 'project_id'")
    again = company.collect(FIRST, teams=["search"])
    assert [bucket.changed for bucket in again.buckets] == [True]


def test_entries_name_the_key_and_never_show_it(company: SimulatedCompany) -> None:
    company.collect(FIRST)
    key = company.registry.active_admin_key("search")
    assert key is not None
    assert company.entries("key_id, key_fingerprint, organization_id", "team_id = 'search'") == [
        (key.key_id, key.fingerprint, DIGITAL)
    ]
    everything = company.raw("SELECT * FROM raw.collections")
    assert "sk-admin" not in repr(everything)
