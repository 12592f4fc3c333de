"""What a build says to Dagster: each model and test, the worst rows of those that found some."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb

from finops_pipeline.warehouse.dbt import NodeResult
from finops_pipeline.warehouse.warehouse import Warehouse

PASSED = frozenset({"success", "pass", "warn"})
"""dbt's statuses of what does not keep a build from being published."""

_SHOWN_ROWS = 10


def worst_rows(
    warehouse: Warehouse, results: list[NodeResult], tests: Mapping[str, Mapping[str, Any]]
) -> dict[str, dg.TableMetadataValue]:
    """The ten worst rows of each test that found some and keeps them. Only while writing."""
    kept = [
        result.name
        for result in results
        if result.failures and result.name in tests and tests[result.name]["store_failures"]
    ]
    if not kept:
        return {}
    with warehouse.connect() as connection:
        return {name: _worst_of(connection, name) for name in kept}


def _worst_of(connection: duckdb.DuckDBPyConnection, test: str) -> dg.TableMetadataValue:
    found = connection.execute(
        f'SELECT * EXCLUDE (rank) FROM checks."{test}" ORDER BY rank LIMIT {_SHOWN_ROWS}'
    ).to_arrow_table()
    return dg.MetadataValue.table(
        [
            dg.TableRecord({column: _shown(value) for column, value in row.items()})
            for row in found.to_pylist()
        ],
        schema=dg.TableSchema([dg.TableColumn(column) for column in found.column_names]),
    )


def _shown(value: object) -> str | None:
    return None if value is None else str(value)


def test_configs(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The configuration of each dbt test, by its name."""
    return {
        node["name"]: node["config"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }


def build_events(
    context: dg.AssetExecutionContext,
    results: list[NodeResult],
    tests: Mapping[str, Mapping[str, Any]],
    worst: Mapping[str, dg.TableMetadataValue],
) -> Iterator[Any]:
    """What the UI shows of each model and test.

    As bare events, because each result of Dagster's own kinds is stored with an output as well,
    and only the marts have a step that follows them.
    """
    asset_keys = {key.path[-1]: key for key in context.selected_asset_keys}
    check_keys = {key.name: key for key in context.selected_asset_check_keys}
    for result in results:
        if result.kind == "test" and result.name in check_keys and result.status != "skipped":
            key = check_keys[result.name]
            yield dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.status == "pass",
                # An error of dbt's own would keep the build from being published.
                severity=(
                    dg.AssetCheckSeverity.WARN
                    if result.status == "warn"
                    and tests[result.name]["meta"].get("dagster_severity") != "error"
                    else dg.AssetCheckSeverity.ERROR
                ),
                description=result.message,
                metadata={"failing_rows": result.failures}
                | ({"worst_rows": worst[result.name]} if result.name in worst else {}),
            )
        elif result.name in asset_keys and result.status == "success":
            key, metadata = asset_keys[result.name], {"seconds": round(result.seconds, 3)}
            if key.path[0] == "marts":
                yield dg.MaterializeResult(asset_key=key, metadata=metadata)
            else:
                yield dg.AssetMaterialization(key, metadata=metadata)


def explained(failures: list[NodeResult]) -> str:
    """How many models or tests failed, and the first of them with its message."""
    broken = [result for result in failures if result.status != "skipped"]
    first = broken[0] if broken else failures[0]
    return (
        f"{len(broken)} models or tests failed, so nothing was published; the marts stay as they "
        f"were. First: {first.name}: {first.message}"
    )
