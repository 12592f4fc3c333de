"""Dagster's UI path for real: web server, daemon, backfills, builds that start by themselves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from finops_pipeline.simulator import Fault, Scenario
from tests.e2e.conftest import FINOPS, PROJECT, Site, opened_site, stop, wait_until

pytestmark = pytest.mark.slow

COSTS = {"path": ["raw", "costs"]}
DAGSTER = FINOPS.with_name("dagster")


@dataclass(frozen=True)
class Webserver:
    """Dagster's GraphQL, as the UI in a browser uses it."""

    url: str

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/server_info", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def ask(self, query: str, **variables: object) -> Any:
        response = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
            trust_env=False,
        )
        content = response.raise_for_status().json()
        assert "errors" not in content, content["errors"]
        return content["data"]

    def location(self) -> tuple[str, str]:
        """Code location and repository, once it has loaded without error."""
        found = self.ask(
            """{ workspaceOrError { ... on Workspace { locationEntries {
              name loadStatus locationOrLoadError {
                __typename
                ... on RepositoryLocation { repositories { name } }
                ... on PythonError { message }
              } } } } }"""
        )["workspaceOrError"]["locationEntries"]
        (entry,) = found
        loaded = entry["locationOrLoadError"]
        assert loaded["__typename"] == "RepositoryLocation", loaded
        return entry["name"], loaded["repositories"][0]["name"]

    def materialize(self, day: date) -> str:
        """One day, as the button on the asset's page does; the run's id."""
        location, repository = self.location()
        launched = self.ask(
            """mutation ($parameters: ExecutionParams!) {
              launchPipelineExecution(executionParams: $parameters) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
              } }""",
            parameters={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": repository,
                    "jobName": "__ASSET_JOB",
                    "assetSelection": [COSTS],
                },
                "mode": "default",
                "runConfigData": {},
                "executionMetadata": {
                    "tags": [{"key": "dagster/partition", "value": day.isoformat()}]
                },
            },
        )["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(self, days: list[date]) -> str:
        """A backfill of these days; its id."""
        launched = self.ask(
            """mutation ($parameters: LaunchBackfillParams!) {
              launchPartitionBackfill(backfillParams: $parameters) {
                __typename
                ... on LaunchBackfillSuccess { backfillId }
                ... on PythonError { message }
              } }""",
            parameters={
                "assetSelection": [COSTS],
                "partitionNames": [day.isoformat() for day in days],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def terminate(self, run_id: str) -> None:
        """What the button *Terminate* of a run does."""
        ended = self.ask(
            """mutation ($id: String!) { terminateRun(runId: $id) {
              __typename ... on TerminateRunFailure { message } } }""",
            id=run_id,
        )["terminateRun"]
        assert ended["__typename"] == "TerminateRunSuccess", ended

    def reexecute(self, run_id: str) -> str:
        """What the button *Re-execute all* of a run does; the new run's id."""
        launched = self.ask(
            """mutation ($parameters: ReexecutionParams!) {
              launchPipelineReexecution(reexecutionParams: $parameters) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
              } }""",
            parameters={"parentRunId": run_id, "strategy": "ALL_STEPS"},
        )["launchPipelineReexecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill_status(self, backfill_id: str) -> str:
        found = self.ask(
            """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
              ... on PartitionBackfill { status } } }""",
            id=backfill_id,
        )
        return str(found["partitionBackfillOrError"]["status"])

    def runs(self, **wanted: object) -> list[dict[str, Any]]:
        """Runs, newest first; ``wanted`` is GraphQL's RunsFilter."""
        found = self.ask(
            """query ($filter: RunsFilter) { runsOrError(filter: $filter) {
              ... on Runs { results { runId jobName status tags { key value } } } } }""",
            filter=wanted,
        )
        return list(found["runsOrError"]["results"])

    def status(self, run_id: str) -> str:
        (run,) = self.runs(runIds=[run_id])
        return str(run["status"])

    def green_days(self) -> set[date]:
        """The days that the asset's page shows as materialized."""
        found = self.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) {
              ... on AssetNode { assetPartitionStatuses {
                ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }""",
            key=COSTS,
        )["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
        green = set()
        for each in found:
            day, end = (date.fromisoformat(each[name]) for name in ("startKey", "endKey"))
            while each["status"] == "MATERIALIZED" and day <= end:
                green.add(day)
                day += timedelta(days=1)
        return green


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration's company, registered; nothing was ever collected."""
    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    with opened_site(scenario, tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest.fixture(scope="module")
def webserver(site: Site) -> Iterator[Webserver]:
    """What `finops ui` starts."""
    port = free_port()
    log = site.folder / "ui.log"
    with log.open("wb") as output:
        process = site.start(FINOPS, "ui", "--port", str(port), output=output)
    try:
        server = Webserver(f"http://127.0.0.1:{port}")
        wait_until(lambda: process.poll() is not None or server.answers(), "the UI answers")
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        stop(process)


def days(start: date, count: int) -> list[date]:
    return [start + timedelta(days=offset) for offset in range(count)]


def test_the_definitions_validate_on_a_fresh_clone(site: Site, tmp_path: Path) -> None:
    code, output = site.run(
        *(DAGSTER, "definitions", "validate", "-w", "workspace.yaml"),
        cwd=PROJECT,
        FINOPS_DATA_DIR=str(tmp_path / "data"),
    )
    assert code == 0, output


def test_dagster_dev_alone_works_in_the_projects_folder(site: Site, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "dev.log"
    with log.open("wb") as output:
        process = site.start(
            *(DAGSTER, "dev", "--host", "127.0.0.1", "--port", str(port)),
            cwd=PROJECT,
            output=output,
        )
    try:
        server = Webserver(f"http://127.0.0.1:{port}")
        wait_until(lambda: process.poll() is not None or server.answers(), "Dagster answers")
        assert process.poll() is None, log.read_text()
        assert server.location()[0] == "finops"
    finally:
        stop(process)


def test_a_day_and_a_backfill_are_collected_and_then_published_by_themselves(
    site: Site, webserver: Webserver
) -> None:
    first = date(2026, 1, 20)
    run_id = webserver.materialize(first)
    wait_until(lambda: webserver.status(run_id) in {"SUCCESS", "FAILURE"}, "the day is collected")
    assert webserver.status(run_id) == "SUCCESS"
    assert webserver.green_days() == {first}

    ten = days(date(2026, 2, 1), 10)
    backfill_id = webserver.backfill(ten)
    wait_until(
        lambda: webserver.backfill_status(backfill_id).startswith(("COMPLETED", "FAILED")),
        "the backfill ends",
    )
    assert webserver.backfill_status(backfill_id) == "COMPLETED_SUCCESS"
    (backfill_run,) = webserver.runs(tags=[{"key": "dagster/backfill", "value": backfill_id}])
    assert backfill_run["jobName"] == "__ASSET_JOB"
    assert webserver.green_days() == {first, *ten}

    wait_until(lambda: {first, *ten} <= set(site.daily_costs()), "the marts are published")
    assert site.daily_costs() == site.truth(first, first) | site.truth(ten[0], ten[-1])
    wait_until(
        lambda: webserver.runs(pipelineName="build")[0]["status"] != "STARTED", "the build ends"
    )
    builds = webserver.runs(pipelineName="build")
    assert {run["status"] for run in builds} == {"SUCCESS"}
    assert len(builds) <= 2
    assert site.marts("SELECT run_id FROM rpt_build") == [(builds[0]["runId"],)]


def test_a_backfill_is_terminated_at_once_and_re_executed(site: Site, webserver: Webserver) -> None:
    control = site.server.control
    ten = days(date(2026, 3, 11), 10)
    control.reset_requests()
    # One team's answer is still to come when the run is told to end.
    control.plant_fault(Fault(kind="slow", seconds=15, endpoint="costs", times=1))
    backfill_id = webserver.backfill(ten)
    wait_until(
        lambda: any(request.path.endswith("/costs") for request in control.requests()),
        "OpenAI was asked",
    )
    (run,) = webserver.runs(tags=[{"key": "dagster/backfill", "value": backfill_id}])
    webserver.terminate(run["runId"])
    wait_until(lambda: webserver.status(run["runId"]) == "CANCELED", "the run is cancelled")
    assert not webserver.green_days() & set(ten)

    again = webserver.reexecute(run["runId"])
    wait_until(lambda: webserver.status(again) in {"SUCCESS", "FAILURE"}, "the rest is collected")
    assert webserver.status(again) == "SUCCESS"
    assert set(ten) <= webserver.green_days()


def test_a_day_that_was_read_for_no_team_is_not_green(site: Site, webserver: Webserver) -> None:
    day = date(2026, 3, 5)
    refusal = Fault(
        kind="status", endpoint="costs", status=401, message="Incorrect API key provided: sk-…"
    )
    site.server.control.plant_fault(refusal)
    run_id = webserver.materialize(day)
    wait_until(lambda: webserver.status(run_id) in {"SUCCESS", "FAILURE"}, "the run ends")
    site.server.control.clear_faults()
    assert webserver.status(run_id) == "FAILURE"
    assert day not in webserver.green_days()
    assert day not in site.daily_costs()
