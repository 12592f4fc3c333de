"""What does not reconcile, as a person sees it in Dagster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg

from finops_pipeline.orchestration.build import build_definitions
from finops_pipeline.orchestration.jobs import BUILD
from finops_pipeline.simulator import Scenario
from tests.workplace import Workplace

END = date(2026, 3, 1)
DAYS = 12


def test_a_double_charge_is_a_warning_by_day_and_an_error_by_month_with_the_worst_rows(
    make_workplace: Callable[..., Workplace],
) -> None:
    scenario = Scenario.gapped("double_charge", days=DAYS, projects=2, end=END)
    company = make_workplace(scenario, tolerance=Decimal("0.001"))
    company.server.control.set_clock(company.server.control.clock() + timedelta(days=5))
    company.collect(END - timedelta(days=DAYS), END - timedelta(days=1))
    job = build_definitions(company.pipeline, console_level="CRITICAL").resolve_job_def(BUILD)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, run_config={"loggers": {"console": {}}})

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
    parts = company.server.control.gaps(
        company.server.scenario.organizations[0].id, END - timedelta(days=DAYS), END
    )
    assert 0 < len(worst.records) <= 10
    assert {str(row.data["cost_date"]) for row in worst.records} <= {
        str(part.day) for part in parts if part.cause == "double_charge"
    }
