"""The server's life: in this process and as one of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import Control, Fault, Scenario, SimulatedServer, serve

TOKEN = "control-token-of-this-test"


def start(tmp_path: Path, *arguments: str, token: str = TOKEN) -> subprocess.Popen[str]:
    file = tmp_path / "token"
    file.write_text(f"{token}\n", encoding="utf-8")
    command = [sys.executable, "-m", "finops_pipeline.simulator", "--control-token-file", str(file)]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_listens_on_loopback_alone() -> None:
    with SimulatedServer() as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.base_url.endswith("/v1")


def test_after_the_context_nobody_answers() -> None:
    with SimulatedServer() as server:
        assert httpx.get(server.base_url, trust_env=False).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url, trust_env=False)


def test_a_taken_port_is_a_usage_error() -> None:
    with SimulatedServer() as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match=f"Port {port}"), SimulatedServer(port=port):
            pass


def test_signal_handlers_and_logging_of_the_process_stay_as_they_are() -> None:
    handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    root = list(logging.getLogger().handlers)
    with SimulatedServer():
        assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers
        assert logging.getLogger().handlers == root


def test_faults_leave_nothing_in_the_log(
    company: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for kind in ("drop", "drop_mid_body"):
        company.control.plant_fault(Fault(kind=kind, times=1))
        with pytest.raises(httpx.TransportError):
            company.costs(1772323200)
    assert company.costs(1772323200).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


def test_serve_blocks_until_a_signal_and_restores_the_handlers() -> None:
    handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    answers: list[int] = []

    def ready(base_url: str) -> None:
        def ask_and_stop() -> None:
            answers.append(httpx.get(base_url, trust_env=False).status_code)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=ask_and_stop).start()

    serve(Scenario.demo(), 0, TOKEN, on_ready=ready)
    assert answers == [404]
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_of_its_own_says_where_it_is_and_ends_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    scenario = Scenario.bulk(days=3, rows_per_day=10)
    file = tmp_path / "scenario.json"
    file.write_text(scenario.model_dump_json(), encoding="utf-8")
    with start(tmp_path, "--scenario", str(file), "--prerender") as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with Control(base_url.removesuffix("/v1"), TOKEN) as control:
            assert control.clock() == scenario.now
            assert {total.day for total in control.totals()} >= {scenario.start}
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "token", "says"),
    [
        (["--scenario", "missing.yaml"], TOKEN, "missing.yaml cannot be read"),
        ([], "", "control token file"),
    ],
)
def test_a_process_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, arguments: list[str], token: str, says: str
) -> None:
    with start(tmp_path, *arguments, token=token) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
