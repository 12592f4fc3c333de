"""What does not reconcile, as a person sees it in Dagster, and what a price file explains of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from finops_pipeline.orchestration.build import build_definitions
from finops_pipeline.orchestration.jobs import BUILD
from finops_pipeline.simulator import GapPart, Scenario
from tests.workplace import Workplace, opened_workplace

END = date(2026, 3, 1)
DAYS = 12
FIRST_AGREED = date(2026, 2, 23)
"""The second day on which gpt-4.1 is billed at four fifths of the list's price."""

FILE = f"""\
prices:
  - model: gpt-4.1
    per: 1_000_000 tokens
    prices: {{input: 1.60, cached_input: 0.40, output: 6.40}}
    valid_from: {FIRST_AGREED}
complimentary:
  - organization: org-gapworks
    models: [gpt-5-mini]
    tokens_a_day: 1_000_000_000
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    scenario = Scenario.gapped(
        *("double_charge", "negotiated_rate", "complimentary_tokens"),
        days=DAYS,
        projects=3,
        end=END,
    )
    (organization,) = scenario.organizations
    gaps = tuple(gap.model_copy(update={"shown": False}) for gap in organization.gaps)
    organization = organization.model_copy(update={"gaps": gaps})
    folder = tmp_path_factory.mktemp("discrepancies")
    price_file = folder / "prices.yaml"
    price_file.write_text(FILE, encoding="utf-8")
    with opened_workplace(
        scenario.model_copy(update={"organizations": (organization,)}),
        folder,
        start_date=scenario.start,
        tolerance=Decimal("0.001"),
        price_file=price_file,
    ) as workplace:
        workplace.server.control.set_clock(workplace.server.control.clock() + timedelta(days=5))
        workplace.collect(scenario.start, END - timedelta(days=1))
        yield workplace


@pytest.fixture(scope="module")
def result(company: Workplace) -> dg.ExecuteInProcessResult:
    job = build_definitions(company.pipeline, console_level="CRITICAL").resolve_job_def(BUILD)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, run_config={"loggers": {"console": {}}})


@pytest.fixture(scope="module")
def planted(company: Workplace) -> list[GapPart]:
    return company.server.control.gaps(end=END)


def test_a_double_charge_is_a_warning_by_day_and_an_error_by_month_with_the_worst_rows(
    result: dg.ExecuteInProcessResult, planted: list[GapPart]
) -> None:
    assert result.success  # what is published says itself that it does not add up
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    by_day, by_month = (
        checks[name] for name in ("project_days_within_tolerance", "team_months_within_tolerance")
    )
    assert not by_day.passed
    assert by_day.severity is dg.AssetCheckSeverity.WARN
    assert not by_month.passed
    assert by_month.severity is dg.AssetCheckSeverity.ERROR
    worst = by_day.metadata["worst_rows"]
    assert isinstance(worst, dg.TableMetadataValue)
    assert 0 < len(worst.records) <= 10
    unexplained = {
        (str(part.day), part.project_id)
        for part in planted
        if part.cause == "double_charge"
        or (part.cause == "negotiated_rate" and part.day < FIRST_AGREED)
    }
    assert {
        (row.data["cost_date"], row.data["openai_project_id"]) for row in worst.records
    } == unexplained


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize(
    ("planted_cause", "where", "cause", "part"),
    [
        ("negotiated_rate", "< $day", "unknown_rate", "unexplained"),
        ("negotiated_rate", ">= $day", "override_rate", "rate_difference"),
        ("complimentary_tokens", "> '2026-01-01'", "complimentary_tokens", "quantity_difference"),
    ],
)
def test_what_the_price_file_says_explains_from_its_day_on(
    company: Workplace,
    planted: list[GapPart],
    planted_cause: str,
    where: str,
    cause: str,
    part: str,
) -> None:
    (project,) = {gap.project_id for gap in planted if gap.cause == planted_cause}
    found = company.marts(
        "SELECT cost_date, cause, part, sum(amount) FROM fct_reconciliation_parts"
        f" WHERE openai_project_id = $project AND cost_date {where} GROUP BY ALL",
        project=project,
        **({"day": FIRST_AGREED} if "$day" in where else {}),
    )
    assert found
    assert {(cause, part) for _, cause, part, _ in found} == {(cause, part)}
    amounts: dict[date, Decimal] = {}
    for gap in planted:
        if gap.cause == planted_cause:
            amounts[gap.day] = amounts.get(gap.day, Decimal(0)) + gap.amount
    for day, _, _, amount in found:
        assert abs(amount - amounts[day]) < Decimal("1e-9"), day
