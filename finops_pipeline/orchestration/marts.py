"""The dbt models as assets, their tests as checks, and the published file."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
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
from finops_pipeline.orchestration.build_events import (
    PASSED,
    build_events,
    explained,
    test_configs,
    worst_rows,
)
from finops_pipeline.orchestration.instance import enter_run
from finops_pipeline.orchestration.jobs import BUILT_AT
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.warehouse import publishing
from finops_pipeline.warehouse.dbt import STEP_TESTS, VIEWS, read_manifest

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
    "unique_after_changes": "No two rows are the same in all of {columns}.",
}


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
    tests = test_configs(manifest)
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
                failures = [result for result in results if result.status not in PASSED]
                worst = worst_rows(pipeline.warehouse, results, tests)
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
        yield from build_events(context, results, tests, worst)
        if failures:
            raise dg.Failure(explained(failures), allow_retries=False)

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
    """What dbt has to build and to test."""
    models = [key.path[-1] for key in context.selected_asset_keys]
    return models + [check.name for check in context.selected_asset_check_keys]


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
