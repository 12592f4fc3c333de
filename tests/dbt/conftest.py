"""A raw warehouse built from Python rows, and dbt run on it in this process.

Times are UTC. A ``Warehouse`` behaves as the collection does: a reading whose content is the one
last read for its (team, day) names that revision again and lands no rows.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from finops_pipeline.openai_admin.usage_rows import MEASURES
from finops_pipeline.pricing import PriceBook, service_tiers
from finops_pipeline.warehouse.dbt import STEP_TESTS, VIEWS

DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"

TYPES = {
    "bool": pa.bool_(),
    "count": pa.int64(),
    "date": pa.date32(),
    "money": pa.decimal128(38, 18),
    "price": pa.decimal128(18, 12),
    "quantity": pa.decimal128(28, 6),
    "ratio": pa.decimal128(9, 6),
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
}
RAW = {
    "_dlt_loads": "load_id schema_name status:count inserted_at:time schema_version_hash",
    "collections": "collection_id run_id team_id endpoint cost_date:date key_id key_fingerprint"
    " organization_id status collected_at:time row_count:count cost:money currency content_hash"
    " revision_id query_signature unknown_fields error _dlt_load_id",
    "costs": "revision_id team_id cost_date:date organization_id organization_name project_id"
    " project_name api_key_id line_item amount:money currency quantity:quantity quantity_unit"
    " _dlt_load_id",
    "usage": "revision_id team_id cost_date:date endpoint organization_id project_id user_id"
    " api_key_id model service_tier batch:bool size source vector_store_id context_level "
    + " ".join(f"{measure}:quantity" for measure in MEASURES)
    + " _dlt_load_id",
    "legacy_usage": "revision_id team_id cost_date:date endpoint key_project_id"
    " aggregation_at:time dataset operation model openai_project_id api_key_id is_batch:bool"
    " image_size request_count:quantity input_tokens:quantity input_cached_tokens:quantity"
    " input_audio_tokens:quantity output_tokens:quantity output_audio_tokens:quantity"
    " images:quantity seconds:quantity characters:quantity _dlt_load_id",
    "openai_projects": "team_id key_fingerprint project_id project_name status created_at:time"
    " archived_at:time collected_at:time _dlt_load_id",
    "requests": "file_id line_number:count landed_at:time cost_date:date request_id"
    " requested_at:time openai_project_id api_key_id model system_fingerprint service_tier"
    " is_batch:bool input_tokens:count input_cached_tokens:count input_audio_tokens:count"
    " input_image_tokens:count input_cached_image_tokens:count output_tokens:count"
    " output_audio_tokens:count output_image_tokens:count user_id action task_type user_intent"
    " content_hash _dlt_load_id",
    "teams": "team_id team_name parent_team_id owner_email budget_owner_email cost_center"
    " is_active:bool created_at:time deactivated_at:time",
    "projects": "project_id project_name openai_project_id environment owner_email cost_center"
    " tags is_active:bool created_at:time",
    "team_attributes": "team_id team_name parent_team_id owner_email budget_owner_email"
    " cost_center valid_from:date valid_to:date",
    "project_attributes": "project_id project_name environment owner_email cost_center tags"
    " valid_from:date valid_to:date",
    "project_ownership": "project_id team_id openai_project_id valid_from:date valid_to:date",
    "keys": "key_id team_id key_type project_id fingerprint organization_id is_active:bool"
    " created_at:time deactivated_at:time",
    "build_settings": "run_id built_at:time contract_version cost_source settle_days:count"
    " tolerance:ratio tolerance_floor:money request_tolerance:ratio",
    "model_prices": "price_model service_tier context long_context_from:count modality token_kind"
    " unit unit_price:price currency valid_from:date valid_to:date source is_backdated:bool"
    " price_book_version",
    "model_names": "model price_model base_model is_fine_tuned:bool matched_by",
    "service_tiers": "wire_tier service_tier",
    "complimentary_tokens": "declaration_number:count organization_id price_model"
    " tokens_a_day:count valid_from:date valid_to:date",
}

MODEL_ENDPOINTS = (
    *("completions", "embeddings", "moderations"),
    *("images", "audio_speeches", "audio_transcriptions"),
)
"""Usage tells a day once all of these were asked."""

ACTIVE = {"is_active": True, "created_at": datetime(2025, 1, 1, tzinfo=UTC)}


@dataclass
class Marts:
    """The published tables of one build."""

    path: Path

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table's rows, what the facts remember included."""
        names = self.query("select schema_name || '.' || table_name from duckdb_tables()")
        return {name: self.rows(name) for (name,) in names}

    def rows(self, table: str, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
        """Rows in the order of their own columns, nulls last."""
        return self.query(f"select {columns} from {table} where {where} order by all")


@dataclass
class Warehouse:
    """Raw tables in the making. Build as often as wanted; later builds see what was added.

    Attributes:
        is_begun: Whether all models were built, so that the views are there.
    """

    folder: Path
    manifest: Manifest
    tables: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {table: [] for table in RAW}
    )
    current: dict[tuple[str, str, date], tuple[str, str]] = field(default_factory=dict)
    is_begun: bool = False

    def add(self, table: str, defaults: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        self.tables[table].append({**defaults, **more})

    def settings(self, today: date, *, settle_days: int = 3, **more: Any) -> None:
        row = {"run_id": "run", "contract_version": "1", "cost_source": "costs_v1"}
        tolerances = {"tolerance": Decimal("0.05"), "tolerance_floor": Decimal("0.01")}
        tolerances["request_tolerance"] = Decimal("0.05")
        self.tables["build_settings"] = [
            row | tolerances | {"built_at": at(today, 6), "settle_days": settle_days} | more
        ]

    def price(self, *models: str) -> None:
        """The list's prices, under the names of these models."""
        self.tables["model_prices"] = listed_prices().prices().to_pylist()
        self.tables["model_names"] = listed_prices().names(models).to_pylist()
        self.tables["service_tiers"] = service_tiers().to_pylist()

    def team(self, team_id: str, *keys: str, **more: Any) -> None:
        """A team with admin keys of these fingerprints."""
        names = {"team_id": team_id, "team_name": team_id.title()}
        self.add("teams", names | ACTIVE, more)
        for fingerprint in keys:
            self.key(team_id, fingerprint)

    def key(self, team_id: str, fingerprint: str, **more: Any) -> None:
        key_id = f"key {len(self.tables['keys'])}"
        names = {"key_id": key_id, "team_id": team_id, "fingerprint": fingerprint}
        self.add("keys", names | {"key_type": "admin"} | ACTIVE, more)

    def project(
        self, project_id: str, *owners: tuple[str, date | None, date | None], **more: Any
    ) -> None:
        """A project whose OpenAI id is ``proj_<project_id>``, with its (team, from, to)."""
        ids = {"project_id": project_id, "openai_project_id": f"proj_{project_id}"}
        self.add("projects", ids | {"project_name": project_id.title()} | ACTIVE, more)
        for team_id, valid_from, valid_to in owners:
            period = {"valid_from": valid_from, "valid_to": valid_to}
            self.add("project_ownership", ids | period, {"team_id": team_id})

    def load(self, *, complete: bool = True) -> str:
        load_id = f"load {len(self.tables['_dlt_loads']):05}"
        self.tables["_dlt_loads"].append({"load_id": load_id, "status": 0 if complete else 1})
        return load_id

    def read(
        self,
        team_id: str,
        day: date,
        rows: Sequence[Mapping[str, Any]],
        when: datetime,
        *,
        key: str,
        endpoint: str = "costs",
        organization_id: str | None = None,
        complete: bool = True,
        **more: Any,
    ) -> None:
        """A successful reading, of costs or of a usage endpoint."""
        load_id = self.load(complete=complete)
        content = sorted(
            repr(sorted((k, v) for k, v in row.items() if not k.endswith("_name"))) for row in rows
        )
        content_hash = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
        bucket = (team_id, endpoint, day)
        known_hash, revision_id = self.current.get(bucket, ("", ""))
        if content_hash != known_hash:
            revision_id = f"revision of {load_id}"
            self.tables["costs" if endpoint == "costs" else "usage"].extend(
                {"revision_id": revision_id, "team_id": team_id, "cost_date": day}
                | {"organization_id": organization_id, "_dlt_load_id": load_id}
                | ({} if endpoint == "costs" else {"endpoint": endpoint})
                | dict(row)
                for row in rows
            )
            if complete:
                self.current[bucket] = content_hash, revision_id
        currencies = {row.get("currency") or "USD" for row in rows}
        total = sum((row.get("amount") or Decimal(0) for row in rows), Decimal(0))
        self._enter(
            {
                "team_id": team_id,
                "endpoint": endpoint,
                "cost_date": day,
                "key_fingerprint": key,
                "organization_id": organization_id,
                "status": "ok",
                "collected_at": when,
                "row_count": len(rows),
                "cost": total if len(currencies) < 2 else None,
                "currency": currencies.pop() if len(currencies) == 1 else None,
                "content_hash": content_hash,
                "revision_id": revision_id,
                "query_signature": "project_id,line_item,api_key_id",
                "_dlt_load_id": load_id,
            },
            more,
        )

    def fail(
        self,
        team_id: str,
        day: date,
        when: datetime,
        error: str,
        *,
        status: str = "failed",
        **more: Any,
    ) -> None:
        bucket = {"team_id": team_id, "cost_date": day, "_dlt_load_id": self.load()}
        self._enter(bucket | {"status": status, "collected_at": when, "error": error}, more)

    def _enter(self, entry: dict[str, Any], more: Mapping[str, Any]) -> None:
        number = len(self.tables["collections"])
        ids = {"collection_id": f"collection {number:05}", "run_id": "run", "endpoint": "costs"}
        self.add("collections", {**ids, **entry}, more)

    def land(self) -> None:
        """Write the raw tables."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            connection.execute("set timezone = 'UTC'; create schema if not exists raw")
            for table, columns in RAW.items():
                fields = [column.partition(":") for column in columns.split()]
                schema = pa.schema({name: TYPES[kind or "text"] for name, _, kind in fields})
                landed = pa.Table.from_pylist(self.tables[table], schema=schema)
                connection.register("landed", landed)
                connection.execute(f"create or replace table raw.{table} as from landed")
                connection.unregister("landed")

    def dbt(self, command: str, *options: str, land: bool = True) -> dict[str, str]:
        """Land and run dbt. Status by node name, for models and failed or passed tests."""
        if land:
            self.land()
        result = dbtRunner(manifest=self.manifest).invoke(
            [command, *options, *dbt_options(self.folder)]
        )
        release_files()
        if result.exception is not None:
            raise result.exception
        assert isinstance(result.result, RunExecutionResult)
        return {run.node.name: str(run.status) for run in result.result.results}

    def build(self) -> Marts:
        """Models and their tests, as production does it. All of it must succeed or only warn."""
        again = ["--indirect-selection", "empty", "--exclude", *STEP_TESTS.split(), VIEWS]
        statuses = self.dbt(
            "build", "--exclude-resource-type", "unit_test", *(again if self.is_begun else [])
        )
        self.is_begun = True
        wrong = {name: s for name, s in statuses.items() if s not in {"success", "pass", "warn"}}
        assert not wrong
        return Marts(self.folder / "marts.building.duckdb")

    def build_anew(self, *options: str) -> Marts:
        """The models alone from the same raw tables, in a file that begins empty."""
        folder = self.folder / "anew"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_profile(folder)
        return Warehouse(folder, self.manifest, self.tables).run(*options)

    def run(self, *options: str) -> Marts:
        """The models alone."""
        again = ["--exclude", VIEWS] if self.is_begun and not options else []
        statuses = self.dbt("run", *options, *again)
        self.is_begun |= not options
        assert set(statuses.values()) == {"success"}, statuses
        return Marts(self.folder / "marts.building.duckdb")


def at(day: date, hour: int = 0, *, days: int = 0) -> datetime:
    """That hour of the day, UTC, so many days later."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(days=days)


def cost(amount: str | None, project: str | None = None, **more: Any) -> dict[str, Any]:
    """A cost row; the project is ours, written without ``proj_``."""
    return {
        "amount": None if amount is None else Decimal(amount),
        "project_id": None if project is None else f"proj_{project}",
        "line_item": "gpt-4o-2024-08-06, input",
        "currency": "USD",
    } | more


def used(model: str | None, project: str | None, **measures: Any) -> dict[str, Any]:
    """A usage row; the project is ours, written without ``proj_``. Numbers are measures."""
    return {"model": model, "project_id": None if project is None else f"proj_{project}"} | {
        name: Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in measures.items()
    }


@cache
def listed_prices() -> PriceBook:
    """The installed list; loading it takes a second."""
    return PriceBook.load(None)


def dbt_options(folder: Path) -> list[str]:
    return [
        *("--project-dir", str(DBT_PROJECT)),
        *("--profiles-dir", str(folder)),
        *("--target-path", str(folder / "target")),
        *("--log-path", str(folder / "logs")),
        *("--log-level-file", "none"),
        "--no-write-json",
        "--quiet",
        "--no-use-colors",
    ]


def write_profile(folder: Path) -> None:
    profile = {
        "type": "duckdb",
        "path": str(folder / "marts.building.duckdb"),
        "schema": "main",
        "attach": [{"path": str(folder / "warehouse.duckdb"), "alias": "warehouse"}],
        "settings": {"TimeZone": "UTC", "preserve_insertion_order": "false"},
        "threads": 2,
    }
    (folder / "profiles.yml").write_text(
        yaml.safe_dump({"finops": {"target": "build", "outputs": {"build": profile}}})
    )


def release_files() -> None:
    """dbt keeps its connection for a next command of the same process; the files stay open."""
    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The project, parsed once for all tests."""
    folder = tmp_path_factory.mktemp("parsed")
    write_profile(folder)
    result = dbtRunner().invoke(["parse", *dbt_options(folder)])
    assert result.success, result.exception
    assert isinstance(result.result, Manifest)
    return result.result


@pytest.fixture(scope="session")
def new_warehouse(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> Callable[[], Warehouse]:
    def new() -> Warehouse:
        folder = tmp_path_factory.mktemp("warehouse")
        write_profile(folder)
        return Warehouse(folder, manifest)

    return new


@pytest.fixture
def warehouse(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    return new_warehouse()
