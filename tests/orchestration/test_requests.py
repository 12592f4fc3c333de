"""Request logs as an asset: what a run lands, which days it tells of, and what starts it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from finops_pipeline.orchestration import build_definitions
from finops_pipeline.orchestration.asset_keys import REQUESTS_KEY
from finops_pipeline.orchestration.run import Runner
from finops_pipeline.settings import Settings
from tests.orchestration.conftest import Launcher, reason
from tests.workplace import Workplace

FIRST = date(2026, 3, 1)
SECRET = "WHISPERED-IN-A-LOG"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    logs.mkdir()
    return logs


@pytest.fixture
def watching(company: Workplace, folder: Path) -> Iterator[Launcher]:
    """A fresh instance over the company's pipeline, which watches a folder."""
    settings = company.settings.model_copy(update={"request_logs_dir": folder})
    pipeline = replace(company.pipeline, settings=settings)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Launcher(build_definitions(pipeline, console_level="CRITICAL"), instance)


def wait_in(folder: Path, name: str, *days: date, line: dict[str, Any] | None = None) -> Path:
    """A file that has not been changed for minutes, with a request per day."""
    path = folder / name
    requests = [
        {
            "request_id": f"{name}-{number}",
            "requested_at": f"{day}T08:00:00Z",
            "model": "o3",
            "api_key_id": "key_1",
            "input_tokens": 10,
            "output_tokens": 2,
        }
        for number, day in enumerate(days)
    ]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in [*requests, *filter(None, [line])]))
    long_ago = datetime.now(UTC).timestamp() - 600
    os.utime(path, (long_ago, long_ago))
    return path


def land(launcher: Launcher, day: date = FIRST) -> dg.ExecuteInProcessResult:
    return launcher.definitions.resolve_job_def("load_requests").execute_in_process(
        instance=launcher.instance, raise_on_error=False, partition_key=day.isoformat()
    )


def materialized(launcher: Launcher) -> dict[str, dict[str, object]]:
    """Metadata of the newest materialization of each day."""
    found: dict[str, dict[str, object]] = {}
    for record in launcher.instance.fetch_materializations(REQUESTS_KEY, limit=99).records:
        event = record.asset_materialization
        assert event is not None
        assert record.partition_key is not None
        found.setdefault(
            record.partition_key, {name: value.value for name, value in event.metadata.items()}
        )
    return found


def test_any_day_lands_every_file_that_waits_and_tells_of_the_days_in_them(
    watching: Launcher, folder: Path, company: Workplace
) -> None:
    second = FIRST + timedelta(days=1)
    before = date(2024, 12, 31)
    wait_in(folder, "a.jsonl", FIRST, second, second)
    wait_in(folder, "b.jsonl", second, before, line={"prompt": SECRET})
    (folder / "c.jsonl").write_text("still being written")

    result = land(watching, date(2026, 2, 1))
    assert result.success
    assert materialized(watching) == {
        FIRST.isoformat(): {"rows": 1, "files": 1, "duplicates": 0, "rejected": 0},
        second.isoformat(): {"rows": 3, "files": 2, "duplicates": 0, "rejected": 1},
    }
    (record,) = watching.instance.fetch_observations(REQUESTS_KEY, limit=9).records
    assert record.event_log_entry.asset_observation is not None
    assert record.event_log_entry.asset_observation.metadata["day"].value == before.isoformat()

    (check,) = result.get_asset_check_evaluations()
    assert check.check_name == "every_line_landed"
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    table = check.metadata["lines"]
    assert isinstance(table, dg.TableMetadataValue)
    (line,) = table.records
    assert (line.data["file"], line.data["line"]) == ("b.jsonl", 3)
    assert SECRET not in repr(result.all_events)

    assert land(watching).success
    assert len(watching.instance.fetch_materializations(REQUESTS_KEY, limit=99).records) == 2
    ((rows,),) = company.raw("SELECT count(*) FROM raw.requests WHERE file_id IS NOT NULL")
    assert rows == 5


def test_the_sensor_asks_once_files_wait_and_gives_up_on_those_that_cannot_be_read(
    watching: Launcher, folder: Path
) -> None:
    sensor = watching.definitions.resolve_sensor_def("load_waiting_requests")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED

    def tick() -> list[dg.RunRequest]:
        context = dg.build_sensor_context(watching.instance, definitions=watching.definitions)
        return list(sensor.evaluate_tick(context).run_requests or ())

    assert tick() == []
    (folder / "fresh.jsonl").write_text("{}\n")
    assert tick() == []
    damaged = wait_in(folder, "damaged.jsonl.gz", FIRST)
    for _ in range(3):
        (asked,) = tick()
        job = watching.definitions.resolve_job_def("load_requests")
        job.execute_in_process(instance=watching.instance, tags=dict(asked.tags))
    assert tick() == [], "after three tries it waits for something to change"
    good = wait_in(folder, "good.jsonl", FIRST)
    (asked,) = tick()
    job.execute_in_process(instance=watching.instance, tags=dict(asked.tags))
    damaged.unlink()
    assert tick() == [], "nothing waits any more"
    assert good.exists(), "files are left where they are"


def test_a_build_follows_and_staging_knows_where_its_rows_come_from(
    watching: Launcher, folder: Path
) -> None:
    wait_in(folder, "d.jsonl", FIRST)
    sensor = watching.definitions.resolve_sensor_def("build_after_collecting")
    land(watching)
    context = dg.build_sensor_context(watching.instance, definitions=watching.definitions)
    assert len(sensor.evaluate_tick(context).run_requests or ()) == 1
    specs = {spec.key: spec for spec in watching.definitions.resolve_all_asset_specs()}
    staging = specs[dg.AssetKey(["staging", "stg_requests__requests"])]
    assert REQUESTS_KEY in {dep.asset_key for dep in staging.deps}


def test_without_a_folder_nothing_is_watched(launcher: Launcher) -> None:
    result = land(launcher)
    assert not result.success
    assert "FINOPS_REQUEST_LOGS_DIR" in reason(result)
    sensor = launcher.definitions.resolve_sensor_def("load_waiting_requests")
    context = dg.build_sensor_context(launcher.instance, definitions=launcher.definitions)
    skipped = sensor.evaluate_tick(context)
    assert skipped.skip_message == "FINOPS_REQUEST_LOGS_DIR is not set."
    assert Settings.model_fields["request_logs_dir"].default is None


def test_the_command_line_hands_in_files_of_its_own_through_the_same_job(
    company: Workplace, tmp_path: Path
) -> None:
    path = wait_in(tmp_path, "e.jsonl", FIRST, line={"request_id": 1})
    pipeline = replace(company.pipeline, request_files=lambda: [path])
    with dg.DagsterInstance.ephemeral() as instance:
        landing = Runner(pipeline, instance).load_requests()
        (record,) = instance.fetch_materializations(REQUESTS_KEY, limit=9).records
    assert landing.new == 1
    assert record.partition_key == FIRST.isoformat()
