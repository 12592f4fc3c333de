"""The dbt models as assets, their tests as checks, and the published file."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProject,
    build_dbt_asset_specs,
    dbt_assets,
)

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.loading import create_raw_tables
from finops_pipeline.ingestion.price_tables import land_prices
from finops_pipeline.ingestion.registry_tables import land_registry
from finops_pipeline.orchestration.asset_keys import (
    COSTS_KEY,
    LEGACY_KEY,
    PRICES_KEY,
    PUBLISHED_KEY,
    REGISTRY_KEY,
    REQUESTS_KEY,
    USAGE_KEY,
)
from finops_pipeline.orchestration.instance import enter_run
from finops_pipeline.orchestration.jobs import BUILT_AT
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.warehouse import publishing
from finops_pipeline.warehouse.dbt import STEP_TESTS, VIEWS, NodeResult, read_manifest
from finops_pipeline.warehouse.warehouse import Warehouse

_REGISTRY_TABLES = (
    "teams",
    "team_attributes",
    "projects",
    "project_attributes",
    "project_ownership",
    "keys",
    "build_settings",
)
_ASSET_OF_TABLE = {
    "usage": USAGE_KEY,
    "legacy_usage": LEGACY_KEY,
    "requests": REQUESTS_KEY,
    "model_prices": PRICES_KEY,
    "model_names": PRICES_KEY,
    "service_tiers": PRICES_KEY,
    "complimentary_tokens": PRICES_KEY,
    **dict.fromkeys(_REGISTRY_TABLES, REGISTRY_KEY),
}
"""Raw tables → the asset that lands them; the others come with the costs."""
_SENTENCES = {
    "primary_key": "Every row has a {column_name} of its own.",
    "unique": "No two rows have the same {column_name}.",
    "not_null": "{column_name} is never null.",
    "accepted_values": "{column_name} is one of {values}.",
    "relationships": "Every {column_name} exists in {to}.",
    "unique_combination": "No two rows are the same in all of {columns}.",
}
_SHOWN_ROWS = 10
_PASSED = frozenset({"success", "pass", "warn"})


class Translator(DagsterDbtTranslator):
    """Names and groups of the models; sources become the assets that land them."""

    def __init__(self) -> None:
        # Several raw tables are landed by one asset, on purpose.
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source."):
            name = manifest["sources"][unique_id]["name"]
            return spec.replace_attributes(key=_ASSET_OF_TABLE.get(name, COSTS_KEY))
        layer = manifest["nodes"][unique_id]["fqn"][1]
        return spec.replace_attributes(
            key=dg.AssetKey([layer, spec.key.path[-1]]),
            group_name=layer,
        )

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        return dg.AssetCheckSpec(
            spec.name,
            asset=spec.asset_key,
            description=_test_description(manifest["nodes"][unique_id]),
            additional_deps=spec.additional_deps,
            # The step itself fails with any of them, and what failed is not published.
            blocking=False,
            metadata=spec.metadata,
            automation_condition=spec.automation_condition,
        )


def _test_description(node: Mapping[str, Any]) -> str | None:
    """What the test says of itself, or a sentence for dbt's own kinds of test."""
    if node["description"] or not node.get("test_metadata"):
        return node["description"] or None
    test = node["test_metadata"]
    arguments = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in test["kwargs"].items()
    }
    return _SENTENCES[test["name"]].format(**arguments)


def registry_asset() -> dg.AssetSpec:
    """The registry as each build lands it; no run of its own makes it."""
    return dg.AssetSpec(
        REGISTRY_KEY,
        description=(
            "Teams, projects, ownership, keys (without key material) and the build's settings, "
            "landed anew by every build."
        ),
        group_name="raw",
        kinds={"sqlite", "duckdb"},
    )


def build_model_assets(pipeline: Pipeline) -> tuple[dg.AssetsDefinition, Sequence[dg.AssetSpec]]:
    """The dbt models that hold rows, and the views.

    The first are built and tested in a working copy of the published file. Views are part of the
    lineage, with nothing to materialize.
    """
    manifest = read_manifest(pipeline.dbt.manifest())
    tests = _test_configs(manifest)
    translator = Translator()
    views = build_dbt_asset_specs(
        manifest=manifest, select=VIEWS, dagster_dbt_translator=translator
    )

    @dbt_assets(
        manifest=manifest,
        name="models",
        select=_stored(manifest),
        exclude=STEP_TESTS,
        dagster_dbt_translator=translator,
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        enter_run(context.instance, context.run.run_id)
        # Of a run of some models, `context.assets_def` has those alone.
        everything = context.selected_asset_keys >= models.keys
        names = [] if everything else _dbt_names(context)
        try:
            create_raw_tables(pipeline.warehouse)
            with pipeline.warehouse.writing("building marts"):
                # Read under the lock, so that a build that began later has seen no less.
                built_at = datetime.now(UTC)
                with pipeline.open_registry() as registry:
                    snapshot = registry.snapshot()
                landed = land_registry(
                    pipeline.warehouse,
                    snapshot,
                    pipeline.settings,
                    run_id=context.run.run_id,
                    built_at=built_at,
                )
                prices = land_prices(
                    pipeline.warehouse,
                    pipeline.settings.price_file,
                    run_id=context.run.run_id,
                    landed_at=built_at,
                )
                publishing.start_building(pipeline.warehouse.marts_path)
                results = pipeline.dbt.build(names, on_node=pipeline.on_node)
                failures = [result for result in results if result.status not in _PASSED]
                worst = _worst_rows(pipeline.warehouse, results, tests)
                if everything and not failures:
                    publishing.finish_building(pipeline.warehouse.marts_path, context.run.run_id)
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log_event(dg.AssetMaterialization(REGISTRY_KEY, metadata=landed))
        context.log_event(
            dg.AssetMaterialization(
                PRICES_KEY,
                metadata={**prices.rows, "version": prices.version, "is_new": prices.is_new},
            )
        )
        yield from _events(context, results, tests, worst)
        if failures:
            raise dg.Failure(_explained(failures), allow_retries=False)

    return models, views


def _stored(manifest: Mapping[str, Any]) -> str:
    """dbt's selection of the models that hold rows, and of the tests that look at any of them.

    By what they are: leaving views out would leave out every test that looks at one as well.
    """
    kinds = {
        node["config"]["materialized"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    return " ".join(f"config.materialized:{kind}" for kind in sorted(kinds - {"view"}))


def _dbt_names(context: dg.AssetExecutionContext) -> list[str]:
    """What dbt has to build: the selected models, and tests selected without their model."""
    models = context.selected_asset_keys
    return [key.path[-1] for key in models] + [
        check.name for check in context.selected_asset_check_keys if check.asset_key not in models
    ]


def _worst_rows(
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


def _test_configs(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The configuration of each dbt test, by its name."""
    return {
        node["name"]: node["config"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }


def _events(
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


def _explained(failures: list[NodeResult]) -> str:
    broken = [result for result in failures if result.status != "skipped"]
    first = broken[0] if broken else failures[0]
    return (
        f"{len(broken)} models or tests failed, so nothing was published; the marts stay as they "
        f"were. First: {first.name}: {first.message}"
    )


def build_published_asset(pipeline: Pipeline, models: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The file that people read."""

    @dg.asset(
        key=PUBLISHED_KEY,
        deps=[key for key in models.keys if key.path[0] == "marts"],
        group_name="published",
        kinds={"duckdb"},
        config_schema={},
        description=(
            "`marts.duckdb`: the finished build, moved into place in one step. Readers never "
            "wait for the pipeline and never see half a build."
        ),
    )
    def published_marts(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        try:
            with pipeline.warehouse.writing("publishing marts"):
                published = publishing.publish(pipeline.warehouse.marts_path, context.run.run_id)
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(
            metadata={
                "file": dg.MetadataValue.path(pipeline.warehouse.marts_path),
                "size_bytes": published.size_bytes,
                "built_by_run": dg.MetadataValue.dagster_run(published.run_id),
                BUILT_AT: dg.MetadataValue.timestamp(published.built_at),
                "superseded_by_later_build": published.superseded,
                "rows": dg.MetadataValue.table(
                    [
                        dg.TableRecord({"table": name, "rows": rows})
                        for name, rows in published.rows.items()
                    ],
                    schema=dg.TableSchema(
                        [dg.TableColumn("table", "string"), dg.TableColumn("rows", "int")]
                    ),
                ),
            }
        )

    return published_marts
