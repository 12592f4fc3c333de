"""The job `build`: models and tests as Dagster shows them, and what is published when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from finops_pipeline.warehouse.dbt import read_manifest
from tests.orchestration.conftest import Launcher, reason
from tests.workplace import Workplace

START, END = date(2026, 3, 1), date(2026, 3, 3)


@pytest.fixture(scope="module")
def built(company: Workplace) -> Workplace:
    """The company with three days collected and published."""
    company.collect(START, END)
    company.build()
    return company


@contextmanager
def amounts_tampered_with(workplace: Workplace) -> Iterator[None]:
    """The ledger as no program of ours would ever change it."""
    with duckdb.connect(str(workplace.settings.warehouse_path)) as connection:
        connection.execute("UPDATE raw.collections SET cost = cost + 1")
    yield
    with duckdb.connect(str(workplace.settings.warehouse_path)) as connection:
        connection.execute("UPDATE raw.collections SET cost = cost - 1")


STEPS = {"staging", "intermediate", "reports"}
GRAIN = {"accepted_values", "not_null", "primary_key", "unique", "unique_combination"}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_models_and_published_file_are_materialized_and_every_test_is_a_check(
    built: Workplace, launcher: Launcher
) -> None:
    result = launcher.build()

    assert result.success
    nodes = read_manifest(built.pipeline.dbt.manifest())["nodes"].values()
    models = {
        node["unique_id"]: node["name"]
        for node in nodes
        if node["resource_type"] == "model" and node["config"]["materialized"] != "view"
    }
    tests = {
        node["name"]
        for node in nodes
        if node["resource_type"] == "test"
        and node["attached_node"] in models
        and not (STEPS & set(node["fqn"]) and node.get("test_metadata", {}).get("name") in GRAIN)
    }
    materialized = {
        materialization.asset_key.path[-1]
        for node in ("models", "published_marts")
        for materialization in result.asset_materializations_for_node(node)
    }
    assert materialized == set(models.values()) | {"published_marts", "registry", "prices"}
    prices = {
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key.path[-1] == "prices"
    }
    assert prices == {"every_model_priced", "prices_unchanged"}
    evaluations = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name not in prices
    ]
    assert {evaluation.check_name for evaluation in evaluations} == tests
    for evaluation in evaluations:
        # The company has charges that no list explains, and a bill that is told to be wrong is
        # published all the same.
        told = evaluation.severity is dg.AssetCheckSeverity.WARN or evaluation.check_name == (
            "team_months_within_tolerance"
        )
        assert evaluation.passed or told, evaluation.check_name
        assert evaluation.passed == (evaluation.metadata["failing_rows"].value == 0)

    (published,) = result.asset_materializations_for_node("published_marts")
    rows = published.metadata["rows"]
    assert isinstance(rows, dg.TableMetadataValue)
    counted = {str(row.data["table"]): row.data["rows"] for row in rows.records}
    ((in_file,),) = built.marts("SELECT count(*) FROM fct_costs")
    assert counted["fct_costs"] == in_file > 0
    assert published.metadata["built_by_run"].value == result.run_id
    assert built.marts("SELECT run_id FROM rpt_build") == [(result.run_id,)]
    ((total,),) = built.marts(
        "SELECT sum(cost) FROM fct_costs WHERE is_reported AND cost_date BETWEEN $start AND $end",
        start=START,
        end=END,
    )
    assert total == sum(built.truth(START, END).values(), Decimal(0))


def test_a_failing_test_publishes_nothing_and_says_which(
    built: Workplace, launcher: Launcher
) -> None:
    before = digest(built.settings.marts_path)
    with amounts_tampered_with(built):
        result = launcher.build()

    assert not result.success
    assert digest(built.settings.marts_path) == before
    assert result.asset_materializations_for_node("published_marts") == []
    failed = [
        check
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    assert [check.check_name for check in failed] == ["costs_equal_the_ledger"]
    assert failed[0].metadata["failing_rows"].value != 0
    assert reason(result).startswith(
        "1 models or tests failed, so nothing was published; the marts stay as they were. "
        "First: costs_equal_the_ledger: Got "
    )


def test_some_models_alone_are_built_and_publish_nothing(
    built: Workplace, launcher: Launcher
) -> None:
    before = digest(built.settings.marts_path)
    result = launcher.build("int_costs_landed", "dim_teams")

    assert result.success
    assert {
        materialization.asset_key.path[-1]
        for materialization in result.asset_materializations_for_node("models")
    } == {"int_costs_landed", "dim_teams", "registry", "prices"}
    assert digest(built.settings.marts_path) == before


def test_a_check_that_reads_a_view_can_be_run_alone(built: Workplace, launcher: Launcher) -> None:
    asset = dg.AssetKey(["marts", "fct_reconciliation"])
    result = launcher.check(dg.AssetCheckKey(asset, "team_months_within_tolerance"))
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.check_name == "team_months_within_tolerance"


def test_publishing_without_a_complete_build_is_refused_in_words(
    built: Workplace, launcher: Launcher
) -> None:
    before = digest(built.settings.marts_path)
    result = launcher.build("dim_teams", "published_marts")

    assert not result.success
    assert "has no complete build to publish. Materialize all models together" in reason(result)
    assert digest(built.settings.marts_path) == before
