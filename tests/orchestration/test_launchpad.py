"""What somebody at the launchpad may choose: days, teams, endpoints, never where a key goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import dagster as dg
import pytest

from finops_pipeline.settings import Settings
from tests.orchestration.conftest import Launcher

ELSEWHERE = {
    "openai_base_url": "https://collector.example.com/v1",
    "registry_url": "postgresql://collector.example.com/registry",
    "kms_key_id": "alias/collector",
    "key_file": "/tmp/key",
    "data_dir": "/tmp/data",
}
"""Settings that decide where keys are read from, what opens them and where they are sent."""

PLACES = [
    ("ops", "openai", "config"),
    ("ops", "openai"),
    ("resources", "settings", "config"),
    ("resources", "io_manager", "config"),
    ("execution", "config"),
    ("loggers", "console", "config"),
    (),
]


def options(launcher: Launcher) -> Iterator[tuple[str, str, bool]]:
    """(job, path, takes anything) of whatever a run's configuration may name."""
    for job in launcher.definitions.get_repository_def().get_all_jobs():
        for path, is_open in _paths(job.run_config_schema.config_type):
            yield job.name, path, is_open


def _paths(config_type: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    fields = getattr(config_type, "fields", None)
    if fields is None:
        yield path, config_type.kind.name in {"ANY", "PERMISSIVE_SHAPE", "MAP"}
        return
    if config_type.kind.name == "PERMISSIVE_SHAPE":
        yield path, True
    for name, field in fields.items():
        yield from _paths(field.config_type, f"{path}/{name}" if path else name)


def test_those_words_are_settings() -> None:
    assert set(ELSEWHERE) <= set(Settings.model_fields)


def test_no_job_has_a_field_for_a_host_a_path_or_a_key(launcher: Launcher) -> None:
    found = list(options(launcher))
    named = {(job, path.rsplit("/", 1)[-1]) for job, path, _ in found}
    assert ("collect", "teams") in named
    forbidden = {*ELSEWHERE, *Settings.model_fields, "base_url", "url", "host", "path", "key"}
    assert {each for each in named if each[1] in forbidden} == set()
    # Where a job has no options at all, Dagster ignores what stands under ops or resources.
    assert [path for _, path, is_open in found if is_open and "config" in path.split("/")] == []


def test_none_can_be_smuggled_in(launcher: Launcher) -> None:
    job = launcher.definitions.resolve_job_def("collect")
    for place, setting in product(PLACES, ELSEWHERE):
        config: Mapping[str, Any] = {setting: ELSEWHERE[setting]}
        for name in reversed(place):
            config = {name: config}
        with pytest.raises(dg.DagsterInvalidConfigError):
            dg.validate_run_config(job, config)
