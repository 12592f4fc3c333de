"""Days that change after the fact, and the totals that tell the truth about them."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import RestatedRow

DAY = date(2026, 3, 10)
NEXT = DAY + timedelta(days=1)
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
Truth = dict[tuple[date, str | None, str], Decimal]


def truth(company: Any, organization: int = 0, **window: date) -> Truth:
    identifier = company.server.scenario.organizations[organization].id
    return {
        (total.day, total.project_id, total.currency): total.amount
        for total in company.control.totals(identifier, **window)
    }


def read(company: Any, start: date, end: date, key: str, **asked: Any) -> Truth:
    sums: Truth = defaultdict(Decimal)
    for number, bucket in enumerate(company.buckets(start, end, key=key, **asked)):
        for row in bucket["results"]:
            amount = Decimal(row["amount"]["value"])
            kept = amount.quantize(Decimal("1e-18"), context=WIDE)
            place = (start + timedelta(days=number), row["project_id"], row["amount"]["currency"])
            sums[place] = WIDE.add(sums[place], kept)
    return dict(sums)


@pytest.mark.parametrize("amounts", ["number", "string", "mixed"])
def test_totals_are_the_sums_of_the_pages(company: Any, amounts: str) -> None:
    company.control.set_wire(amounts=amounts)
    early, grouped_by_key, end = company.start, date(2025, 12, 6), date(2026, 4, 2)
    for organization, key in ((0, company.keys[0]), (1, company.keys[2])):
        pages = {
            **read(company, early, grouped_by_key, key, group_by=("project_id", "line_item")),
            **read(company, grouped_by_key, end, key),
        }
        assert pages == truth(company, organization, end=end)
        assert len({day for day, _, _ in pages}) == (end - early).days


def test_scaling_changes_one_day_of_one_organization(company: Any) -> None:
    before, other = truth(company), truth(company, 1)
    company.rows(DAY)
    company.control.restate(company.organization.id, DAY, "scale", factor=Decimal("1.1"))
    after = truth(company)
    changed = {place for place in before if before[place] != after[place]}
    assert {day for day, _, _ in changed} == {DAY}
    assert truth(company, 1) == other
    assert read(company, DAY, NEXT, company.keys[0]) == truth(company, start=DAY, end=NEXT)
    before_day = sum(before[place] for place in changed)
    gap = sum(after[place] for place in changed) - before_day * Decimal("1.1")
    assert abs(gap) < Decimal("1e-16")


def test_scaling_one_project_leaves_the_others(company: Any) -> None:
    before = truth(company, start=DAY, end=NEXT)
    chosen = company.organization.projects[0].id
    company.control.restate(
        company.organization.id, DAY, "scale", factor=Decimal(2), project_id=chosen
    )
    after = truth(company, start=DAY, end=NEXT)
    assert {place[1] for place in before if before[place] != after[place]} == {chosen}
    assert after[DAY, chosen, "usd"] == 2 * before[DAY, chosen, "usd"]


def test_an_emptied_bucket_is_empty_until_it_is_restored(company: Any) -> None:
    original = company.costs(DAY).content
    company.control.restate(company.organization.id, DAY, "empty")
    assert company.rows(DAY) == []
    assert truth(company, start=DAY, end=NEXT) == {}
    company.control.restate(company.organization.id, DAY, "restore")
    assert company.costs(DAY).content == original


def test_a_row_is_added_also_before_the_first_day(company: Any) -> None:
    before = company.start - timedelta(days=5)
    row = RestatedRow(amount=Decimal("7.25"), project_id="proj_late", line_item="late")
    for day in (DAY, before):
        rows = company.rows(day, group_by=("project_id", "line_item"))
        company.control.restate(company.organization.id, day, "add", rows=[row])
        assert len(company.rows(day, group_by=("project_id", "line_item"))) == len(rows) + 1
    assert truth(company)[before, "proj_late", "usd"] == Decimal("7.25")


def test_other_order_and_other_literals_are_no_other_value(company: Any) -> None:
    original = company.rows(DAY)
    total = truth(company)
    company.control.restate(company.organization.id, DAY, "reorder")
    reordered = company.rows(DAY)
    assert reordered != original
    assert sorted(map(str, reordered)) == sorted(map(str, original))
    bytes_before = company.costs(DAY, NEXT).content
    company.control.restate(company.organization.id, DAY, "rewrite_literals")
    assert company.costs(DAY, NEXT).content != bytes_before
    assert company.rows(DAY) == reordered
    assert truth(company) == total


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["empty", "restore", "reorder", "rewrite_literals"]).map(
                lambda name: (name, {})
            ),
            st.decimals(-3, 3, places=6).map(lambda factor: ("scale", {"factor": factor})),
            st.decimals(-(10**12), 10**12, places=25).map(
                lambda amount: ("add", {"rows": [RestatedRow(amount=amount, apart=True)]})
            ),
        ),
        max_size=5,
    )
)
def test_whatever_was_restated_the_totals_follow(
    company: Any, changes: list[tuple[str, dict[str, Any]]]
) -> None:
    for operation, details in changes:
        company.control.restate(company.organization.id, DAY, operation, **details)
    assert read(company, DAY, NEXT, company.keys[0]) == truth(company, start=DAY, end=NEXT)


def test_a_restatement_of_an_unknown_organization_is_refused(company: Any) -> None:
    with pytest.raises(UsageError, match="no organization org-unknown"):
        company.control.restate("org-unknown", DAY, "empty")
