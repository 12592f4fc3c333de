"""Running dbt: its profile, its parsed project, its commands.

dbt runs inside this process. As a child process it would outlive a killed parent and go on
writing under a lock that had already been dropped; it would also inherit the environment.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import yaml

from finops_pipeline.errors import FinopsError
from finops_pipeline.warehouse import publishing
from finops_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT_DIR = Path(__file__).parents[2] / "dbt_project"
PROFILE = "finops"
STEP_TESTS = " ".join(
    f"fqn:*.{folder}.*,test_name:{kind}"
    for folder in ("staging", "intermediate", "reports")
    for kind in ("accepted_values", "not_null", "primary_key", "unique", "unique_combination")
)
"""dbt's selection of the tests that say what the rows of a step or of a whole report are.

They fail when SQL is wrong, and a build of all begins anew after each change of it. What is wrong
with a day's data shows in the tests of dimensions and facts too, which are run every time.
"""
VIEWS = "config.materialized:view,resource_type:model"
"""dbt's selection of the views. They hold nothing, and are made once by a state of the project."""
_VIEWS_THERE = (
    "SELECT md5(string_agg(sql, '' ORDER BY schema_name, view_name)) "
    "FROM duckdb_views() WHERE NOT internal"
)
_THREADS = 4


@dataclass(frozen=True)
class NodeResult:
    """How one model or test ended.

    Attributes:
        kind: ``model`` or ``test``.
        status: dbt's: success, pass, warn, fail, error, skipped.
        failures: Rows that a test found.
    """

    name: str
    kind: str
    status: str
    message: str
    failures: int
    seconds: float


class Dbt:
    """The dbt project, pointed at one warehouse.

    Args:
        warehouse: Gives the paths and the memory limit; nothing is opened before a command.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._folder = warehouse.data_dir / "dbt"
        self._target = self._folder / "target"
        self._parsed: tuple[str, Manifest] | None = None

    def manifest(self) -> Path:
        """The parsed project; parsed anew only when a file of it, or dbt itself, has changed.

        Needs neither a network nor an existing warehouse.

        Raises:
            FinopsError: the project does not parse, or the data directory cannot be written.
        """
        # A name of its own for each state of the project: a file that is there is whole and
        # right, while dbt rewrites its own manifest.json in place during a build.
        state = _project_state()
        made = self._folder / f"manifest.{state}.json"
        if made.exists():
            return made
        # Several processes may load at once: each parses for itself, the last one wins.
        with self._warehouse.scratch_folder() as scratch:
            self._parsed = state, self._invoke(["parse"], target=scratch)
            self._target.mkdir(exist_ok=True)
            partial = "partial_parse.msgpack"
            (scratch / partial).replace(self._target / partial)
            (scratch / "manifest.json").replace(made)
        for earlier in self._folder.glob("manifest.*.json"):
            if earlier != made:
                earlier.unlink(missing_ok=True)
        return made

    def build(
        self,
        select: Sequence[str] = (),
        *,
        on_node: Callable[[str], None] | None = None,
    ) -> list[NodeResult]:
        """Build models and test them in the working copy: all, or those that ``select`` names.

        Facts follow what changed since the published file, and tests read that. A build of all
        begins with an empty file instead, and so makes and tests everything (:data:`VIEWS` and
        :data:`STEP_TESTS` too), where another state of the project made the published file, or
        one has grown for a week.

        Only while writing. Nodes that fail are in the result, not raised.

        Raises:
            FinopsError: dbt could not run at all.
        """
        state = _project_state()
        anew = not select and publishing.begin_anew_if_due(
            self._warehouse.marts_path, state=state, now=datetime.now(UTC)
        )
        with_views = anew or not self._has_views_of(state)
        arguments = ["build", "--no-write-json", "--exclude-resource-type", "unit_test"]
        # Else no test that reads a view would be run where views are left out.
        arguments += ["--indirect-selection", "empty"]
        if select:
            arguments += ["--select", *select, *([VIEWS] if with_views else [])]
        if not anew:
            arguments += ["--exclude", *STEP_TESTS.split(), *([] if with_views else [VIEWS])]
        if with_views:
            self._note_views(None)

        def callback(event: Any) -> None:
            if on_node is not None and event.info.name in {"LogModelResult", "LogTestResult"}:
                on_node(event.data.node_info.node_name)

        parsed = self._parsed[1] if self._parsed and self._parsed[0] == state else None
        results = self._invoke(arguments, target=self._target, parsed=parsed, callback=callback)
        if with_views and all(
            result.status == "success"
            for result in results
            if result.node.config.materialized == "view"
        ):
            self._note_views(state)
        return [
            NodeResult(
                name=result.node.name,
                kind=str(result.node.resource_type),
                status=str(result.status),
                message=result.message or "",
                failures=result.failures or 0,
                seconds=result.execution_time,
            )
            for result in results
        ]

    def _has_views_of(self, state: str) -> bool:
        """Whether the warehouse has the views of this state of the project, as a build left them.

        Somebody may have made one by hand since, or gone back to a release that notes nothing.
        """
        with self._warehouse.connect() as connection:
            try:
                noted = connection.execute(
                    f"SELECT project_state, views = ({_VIEWS_THERE}) FROM internal.views"
                ).fetchone()
            except duckdb.CatalogException:
                return False
        return noted == (state, True)

    def _note_views(self, state: str | None) -> None:
        with self._warehouse.connect() as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS internal")
            connection.execute(
                "CREATE OR REPLACE TABLE internal.views AS "
                f"SELECT $state::VARCHAR AS project_state, ({_VIEWS_THERE}) AS views",
                {"state": state},
            )

    def _invoke(
        self,
        arguments: list[str],
        *,
        target: Path,
        parsed: Manifest | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> Any:
        # dbt takes seconds to import, and most commands never need it.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        self._write_profile()
        command = [
            *arguments,
            "--project-dir",
            str(PROJECT_DIR),
            "--profiles-dir",
            str(self._folder),
            "--target-path",
            str(target),
            "--log-path",
            str(self._folder / "logs"),
            "--log-level",
            "none",
            "--log-level-file",
            "info",
            "--no-use-colors",
        ]
        try:
            run = dbtRunner(parsed, [callback] if callback else []).invoke(command)
        finally:
            # The adapter keeps its database open between commands, and with it DuckDB's lock.
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
            # Its log stays open too, and the next command forgets it open.
            for handler in logging.getLogger("file_log").handlers:
                handler.close()
        if run.exception is not None:
            if not isinstance(run.exception, Exception):
                raise run.exception
            raise FinopsError(
                f"dbt {arguments[0]} stopped: {run.exception or type(run.exception).__name__}",
                f"Its log is {self._folder / 'logs' / 'dbt.log'}.",
            )
        return run.result

    def _write_profile(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        profile = {
            PROFILE: {
                "target": "embedded",
                "outputs": {
                    "embedded": {
                        "type": "duckdb",
                        "path": str(publishing.building_path(self._warehouse.marts_path)),
                        "schema": "main",
                        "threads": _THREADS,
                        "attach": [{"path": str(self._warehouse.path), "alias": "warehouse"}],
                        "config_options": {
                            "memory_limit": self._warehouse.memory_limit,
                            "autoinstall_known_extensions": "false",
                            "autoload_known_extensions": "false",
                        },
                        "settings": {
                            "TimeZone": "UTC",
                            # No table has an order, and keeping one takes memory.
                            "preserve_insertion_order": "false",
                        },
                    }
                },
            }
        }
        path = self._folder / "profiles.yml"
        text = yaml.safe_dump(profile)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _project_state() -> str:
    """A fingerprint of the project's files and of dbt."""
    state = hashlib.blake2b(digest_size=8)
    for package in ("dbt-core", "dbt-duckdb"):
        state.update(version(package).encode())
    for path in sorted(PROJECT_DIR.rglob("*")):
        name = path.relative_to(PROJECT_DIR)
        if path.suffix in {".sql", ".yml"} and name.parts[0] != "target":
            content = path.read_bytes()
            state.update(f"\n{name} {len(content)}\n".encode())
            state.update(content)
    return state.hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """The parsed project as dbt writes it."""
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest
