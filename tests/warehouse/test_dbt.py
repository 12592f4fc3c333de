"""dbt in this process: parsed only after a change, and leaving no database open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import duckdb
import psutil
import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.warehouse import Warehouse, dbt, publishing
from finops_pipeline.warehouse.dbt import Dbt, read_manifest

PARSE = """
import sys
from pathlib import Path
from finops_pipeline.warehouse import Warehouse, dbt
dbt.PROJECT_DIR = Path(sys.argv[1])
made = dbt.Dbt(Warehouse(Path(sys.argv[2]), memory_limit="100MB")).manifest()
assert dbt.read_manifest(made)["nodes"]
"""
FIGURES = """
{{ config(materialized='table') }}
select sum(x) as cost from {{ source('raw', 'costs') }}
"""
SCHEMA = """
sources:
  - {name: raw, database: warehouse, schema: raw, tables: [{name: costs}]}
models:
  - name: figures
    columns: [{name: cost, data_tests: [not_null]}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one model with one test, in the place of ours."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: tiny\nprofile: finops\nversion: '1.0'\n")
    (folder / "models" / "figures.sql").write_text(FIGURES)
    (folder / "models" / "schema.yml").write_text(SCHEMA)
    monkeypatch.setattr(dbt, "PROJECT_DIR", folder)
    return folder


def models(made: Path) -> set[str]:
    nodes = read_manifest(made)["nodes"].values()
    return {node["name"] for node in nodes if node["resource_type"] == "model"}


def open_databases() -> list[str]:
    return [file.path for file in psutil.Process().open_files() if ".duckdb" in file.path]


def test_the_project_is_parsed_once(warehouse: Warehouse, project: Path) -> None:
    made = Dbt(warehouse).manifest()
    assert models(made) == {"figures"}
    inode = made.stat().st_ino

    # A checkout gives files new times, and that is no change.
    later = time.time() + 3600
    os.utime(project / "models" / "figures.sql", (later, later))
    # Nor is what dbt writes below the project by itself.
    (project / "target" / "compiled").mkdir(parents=True)
    (project / "target" / "compiled" / "figures.sql").write_text("select 2 as x")
    assert Dbt(warehouse).manifest() == made
    assert made.stat().st_ino == inode
    assert list((warehouse.data_dir / "tmp").iterdir()) == []
    assert not warehouse.path.exists()


def test_every_change_is_parsed(warehouse: Warehouse, project: Path) -> None:
    first = Dbt(warehouse).manifest()

    # As a package manager would: new content under an old time.
    (project / "models" / "more.sql").write_text("select 1 as x")
    os.utime(project / "models" / "more.sql", (1, 1))
    second = Dbt(warehouse).manifest()
    assert models(second) == {"figures", "more"}
    assert not first.exists()

    (project / "models" / "more.sql").rename(project / "models" / "renamed.sql")
    assert models(Dbt(warehouse).manifest()) == {"figures", "renamed"}
    (project / "models" / "renamed.sql").unlink()
    assert Dbt(warehouse).manifest() == first


def test_a_project_that_does_not_parse_is_told(warehouse: Warehouse, project: Path) -> None:
    (project / "models" / "broken.sql").write_text("{{ ref('nothing') }}")
    with pytest.raises(FinopsError, match="dbt parse stopped: ") as caught:
        Dbt(warehouse).manifest()
    assert "nothing" in caught.value.message
    assert str(warehouse.data_dir / "dbt" / "logs" / "dbt.log") in caught.value.fix
    (project / "models" / "broken.sql").unlink()
    assert models(Dbt(warehouse).manifest()) == {"figures"}


@pytest.mark.slow
def test_several_processes_may_parse_at_once(warehouse: Warehouse, project: Path) -> None:
    command = [sys.executable, "-c", PARSE, str(project), str(warehouse.data_dir)]
    programs = [subprocess.Popen(command) for _ in range(2)]
    assert [program.wait() for program in programs] == [0, 0]
    assert len(list((warehouse.data_dir / "dbt").glob("manifest.*.json"))) == 1
    assert models(Dbt(warehouse).manifest()) == {"figures"}


def costs(warehouse: Warehouse, amount: str) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        connection.execute(
            f"CREATE OR REPLACE TABLE raw.costs AS SELECT {amount}::DECIMAL(38, 18) AS x"
        )


def test_a_build_leaves_its_tables_and_no_open_file(warehouse: Warehouse, project: Path) -> None:
    finished: list[str] = []
    with warehouse.writing("building marts"):
        costs(warehouse, "1.5")
        building = publishing.start_building(warehouse.marts_path)
        results = Dbt(warehouse).build(on_node=finished.append)
        assert open_databases() == []
        with duckdb.connect(str(building)) as connection:
            assert connection.execute("SELECT * FROM figures").fetchall() == [(Decimal("1.5"),)]

    assert [(result.name, result.kind, result.status) for result in results] == [
        ("figures", "model", "success"),
        ("not_null_figures_cost", "test", "pass"),
    ]
    assert finished == ["figures", "not_null_figures_cost"]
    profile = (warehouse.data_dir / "dbt" / "profiles.yml").read_text()
    assert str(building) in profile
    assert "100MB" in profile


def test_what_fails_in_a_build_is_in_its_result(warehouse: Warehouse, project: Path) -> None:
    (project / "models" / "after.sql").write_text("select * from {{ ref('figures') }}")
    (project / "models" / "other.sql").write_text("select no_such_column from warehouse.raw.costs")
    with warehouse.writing("building marts"):
        costs(warehouse, "NULL")
        publishing.start_building(warehouse.marts_path)
        results = {result.name: result for result in Dbt(warehouse).build()}
        assert open_databases() == []
    assert results["not_null_figures_cost"].status == "fail"
    assert results["not_null_figures_cost"].failures == 1
    assert results["after"].status == "skipped"
    assert results["other"].status == "error"
    assert "no_such_column" in results["other"].message


def test_chosen_models_alone(warehouse: Warehouse, project: Path) -> None:
    (project / "models" / "other.sql").write_text("select 1 as x")
    with warehouse.writing("building marts"):
        costs(warehouse, "1")
        publishing.start_building(warehouse.marts_path)
        results = Dbt(warehouse).build(["other"])
    assert [result.name for result in results] == ["other"]


def test_views_are_made_and_steps_tested_by_a_build_that_begins_anew(
    warehouse: Warehouse, project: Path
) -> None:
    folder = project / "models" / "staging"
    folder.mkdir()
    step = folder / "stg_step.sql"
    step.write_text("{{ config(materialized='view', database='warehouse') }} select 1 as x")
    (project / "tests").mkdir()
    (project / "tests" / "always.sql").write_text("select * from {{ ref('stg_step') }} where x = 3")
    columns = "[{name: x, data_tests: [not_null]}]"
    (folder / "stg.yml").write_text(f"models: [{{name: stg_step, columns: {columns}}}]")
    every_time = {"figures", "not_null_figures_cost", "always"}

    def built(*select: str) -> dict[str, str]:
        return {result.name: result.status for result in Dbt(warehouse).build(select)}

    with warehouse.writing("building marts"):
        costs(warehouse, "1")
        publishing.start_building(warehouse.marts_path)
        assert built().keys() == every_time | {"stg_step", "not_null_stg_step_x"}
        assert built().keys() == every_time
        step.write_text(step.read_text().replace("1 as x", "2 as x"))
        assert built("figures").keys() == {"figures", "stg_step"}
        assert built("figures", "always").keys() == {"figures", "always"}
        assert built().keys() == every_time | {"stg_step", "not_null_stg_step_x"}

        # By hand, or by a release that did not note what it made.
        with warehouse.connect() as connection:
            connection.execute("CREATE OR REPLACE VIEW stg_step AS SELECT 3 AS x")
        assert built().keys() == every_time | {"stg_step"}

        # Views of a build that broke off may be of its state or of the one before.
        step.write_text(step.read_text().replace("2 as x", "no_column as x"))
        assert built()["stg_step"] == "error"
        step.write_text(step.read_text().replace("no_column as x", "2 as x"))
        assert "stg_step" in built("figures")


def test_dbt_that_cannot_run_is_told(warehouse: Warehouse, project: Path) -> None:
    (project / "dbt_project.yml").write_text("name: tiny\nprofile: another\nversion: '1.0'\n")
    with warehouse.writing("building marts"):
        costs(warehouse, "1")
        publishing.start_building(warehouse.marts_path)
        with pytest.raises(FinopsError, match="dbt build stopped: "):
            Dbt(warehouse).build()
