"""The price book as each build lands it, and the checks that name what it lacks or changed."""

from collections.abc import Iterator

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.price_tables import price_changes, unpriced_models
from finops_pipeline.orchestration.asset_keys import PRICES_KEY, PUBLISHED_KEY
from finops_pipeline.orchestration.pipeline import Pipeline

EVERY_MODEL = "every_model_priced"
SAME_PRICES = "prices_unchanged"

_SHOWN = 50


def prices_asset() -> dg.AssetSpec:
    """The price book as each build lands it; no run of its own makes it."""
    return dg.AssetSpec(
        PRICES_KEY,
        description=(
            "List prices by model, tier and day with the overrides of FINOPS_PRICE_FILE, and what "
            "the names in usage and bills stand for. Landed by each build for which they are new."
        ),
        group_name="raw",
        kinds={"python", "duckdb"},
    )


def build_price_checks(pipeline: Pipeline) -> dg.AssetChecksDefinition:
    """Two checks of the landed prices, as warnings: no amount is wrong because of them."""

    @dg.multi_asset_check(
        name="price_checks",
        specs=[
            dg.AssetCheckSpec(
                EVERY_MODEL,
                asset=PRICES_KEY,
                description="Every model in usage or bills has a price.",
                additional_deps=[PUBLISHED_KEY],
            ),
            dg.AssetCheckSpec(
                SAME_PRICES,
                asset=PRICES_KEY,
                description=(
                    "This build changed no price of a model in use: neither by another version of "
                    "the list nor by another override file."
                ),
                additional_deps=[PUBLISHED_KEY],
            ),
        ],
        config_schema={},
        can_subset=True,
    )
    def price_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        warehouse = pipeline.warehouse
        try:
            with warehouse.writing("checking prices"), warehouse.connect() as connection:
                models = unpriced_models(connection)
                changes = price_changes(connection, context.run.run_id).to_pylist()
        except FinopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        results = (_every_model(models), _same_prices(changes))
        wanted = {key.name for key in context.selected_asset_check_keys}
        yield from (result for result in results if result.check_name in wanted)

    return price_checks


def _every_model(unpriced: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=PRICES_KEY,
        check_name=EVERY_MODEL,
        passed=not unpriced,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(unpriced)} models have no price: {', '.join(unpriced[:_SHOWN])}. What was used "
            "of them is reported without a cost; write their prices into FINOPS_PRICE_FILE."
            if unpriced
            else "Every model in use has a price."
        ),
        metadata={"unpriced_models": unpriced},
    )


def _same_prices(changes: list[dict[str, object]]) -> dg.AssetCheckResult:
    models = sorted({str(change["price_model"]) for change in changes})
    return dg.AssetCheckResult(
        asset_key=PRICES_KEY,
        check_name=SAME_PRICES,
        passed=not changes,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"Prices of {len(models)} models in use are others than before: "
            f"{', '.join(models[:_SHOWN])}. Days in the periods named change with this build."
            if changes
            else "No price of a model in use has changed."
        ),
        metadata={"changes": _table(changes)} if changes else {},
    )


def _table(changes: list[dict[str, object]]) -> dg.TableMetadataValue:
    columns = list(changes[0])
    return dg.MetadataValue.table(
        [
            # Text, because a float would not hold a price.
            dg.TableRecord(
                {name: "" if value is None else str(value) for name, value in each.items()}
            )
            for each in changes[:_SHOWN]
        ],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in columns]),
    )
