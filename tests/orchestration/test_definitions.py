"""The code location: what loading it needs, what it shows, and what a run may set."""

from __future__ import annotations

import runpy
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.orchestration.conftest import Launcher


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The definitions as Dagster loads them, on a machine that has nothing, not even a network."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("loading the definitions used the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINOPS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINOPS_KEY_FILE", str(tmp_path / "key"))
    for variable in ("FINOPS_REGISTRY_URL", "FINOPS_OPENAI_BASE_URL", "FINOPS_START_DATE"):
        monkeypatch.delenv(variable, raising=False)
    loaded = runpy.run_module("finops_pipeline.definitions")["defs"]
    assert isinstance(loaded, dg.Definitions)
    return loaded


def test_loading_needs_nothing_and_writes_nothing_but_the_parsed_dbt_project(
    location: dg.Definitions, tmp_path: Path
) -> None:
    dg.Definitions.validate_loadable(location)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parts[:2] for path in written} == {("data", "dbt")}


def test_the_graph_reads_well(launcher: Launcher) -> None:
    specs = {
        spec.key.to_user_string(): spec for spec in launcher.definitions.resolve_all_asset_specs()
    }
    assert {spec.group_name for spec in specs.values()} == {
        "raw",
        "staging",
        "intermediate",
        "marts",
        "published",
    }
    assert [key for key, spec in specs.items() if not spec.description] == []
    assert {dep.asset_key.to_user_string() for dep in specs["staging/stg_openai__costs"].deps} >= {
        "raw/costs"
    }
    assert {dep.asset_key.to_user_string() for dep in specs["published_marts"].deps} == {
        key for key in specs if key.startswith("marts/")
    }
    jobs = {job.name: job for job in launcher.definitions.resolve_all_job_defs()}
    assert {"collect", "build"} <= set(jobs)


def test_a_run_chooses_days_teams_and_endpoints_and_nothing_else(launcher: Launcher) -> None:
    repository = launcher.definitions.get_repository_def()
    jobs = {job.name: job for job in repository.get_all_jobs()}
    settable = {name: set(_leaves(job.run_config_schema.config_type)) for name, job in jobs.items()}
    assert settable == {
        "collect": {"ops/openai/config/teams", "ops/openai/config/endpoints"},
        "collect_legacy_usage": {"ops/legacy_usage/config/teams"},
        "load_requests": set(),
        "build": set(),
        "housekeeping": set(),
        "__ASSET_JOB": {
            "ops/openai/config/teams",
            "ops/openai/config/endpoints",
            "ops/legacy_usage/config/teams",
        },
    }


@pytest.mark.parametrize(
    "config",
    [
        {"resources": {"io_manager": {"config": {"base_dir": "/tmp/elsewhere"}}}},
        {"resources": {"pipeline": {"config": {"openai_base_url": "https://example.com"}}}},
        {"ops": {"openai": {"config": {"openai_base_url": "https://example.com"}}}},
        {"ops": {"openai": {"config": {"teams": [], "registry_url": "sqlite:///x"}}}},
    ],
)
def test_other_configuration_is_refused(launcher: Launcher, config: Mapping[str, Any]) -> None:
    job = launcher.definitions.resolve_job_def("collect")
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, config)


def _leaves(config_type: Any, path: str = "") -> Iterator[str]:
    """Paths under which a value can be given; an open shape counts as its known fields."""
    fields = getattr(config_type, "fields", None)
    if fields is None:
        yield path
        return
    for name, field in fields.items():
        yield from _leaves(field.config_type, f"{path}/{name}" if path else name)
