"""The demonstration and a run talk to nothing but loopback, and look no name up."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from finops_pipeline.simulator import Fault, Scenario
from tests.e2e.conftest import FINOPS, PATIENCE, Site, opened_site

pytestmark = pytest.mark.slow

WATCHER = """
import json, os, sys

log = os.open(os.environ["WATCHED_IN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def watch(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        where = arguments[1]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        where = arguments[0]
    else:
        return
    os.write(log, (json.dumps([event, where], default=repr) + "\\n").encode())

sys.addaudithook(watch)
"""
"""What Python itself says it does with sockets, written down in every process of the tree."""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def goes_out(where: Any) -> bool:
    """Whether an address that Python named is anything but loopback or a file."""
    match where:
        case None:
            return False
        case [str(host), int(), *_]:
            return not is_loopback(host)
        case str(text):
            return not (is_loopback(text) or text.startswith(("/", "\0")))
    return True


class Watched:
    """A command under watch: Python by its audit hook, everything by the system's own tables."""

    def __init__(self, site: Site, log: Path) -> None:
        self._site = site
        self._log = log
        self._hook = log.parent / "hook"
        self._hook.mkdir()
        (self._hook / "sitecustomize.py").write_text(WATCHER)

    def run(self, *command: str | Path) -> tuple[int, str, set[str]]:
        """Exit code, output, and the remote addresses that the process tree was connected to."""
        output = self._log.with_suffix(".out")
        with output.open("wb") as file:
            process = self._site.start(
                *command,
                output=file,
                PYTHONPATH=os.pathsep.join([str(self._hook), *sys.path]),
                WATCHED_IN=str(self._log),
            )
        remotes: set[str] = set()
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline, output.read_text()
            remotes |= _remotes(process)
            time.sleep(0.1)
        return process.returncode, output.read_text(), remotes

    def said(self) -> list[tuple[str, Any]]:
        """(event, address) of each of Python's own socket calls."""
        lines = self._log.read_text().splitlines()
        return [(event, where) for event, where in map(json.loads, lines)]


def _remotes(process: subprocess.Popen[bytes]) -> set[str]:
    found = set()
    try:
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            for connection in member.net_connections("inet"):
                if connection.raddr:
                    found.add(str(connection.raddr.ip))
    except psutil.Error:
        return found
    return found


@pytest.mark.parametrize(
    "arguments",
    [("demo",), ("run", "--from", "2026-01-01", "--to", "2026-01-05")],
    ids=["demo", "run"],
)
def test_nothing_but_loopback_is_spoken_to(arguments: tuple[str, ...], tmp_path: Path) -> None:
    scenario = Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    (tmp_path / "site").mkdir()
    with opened_site(scenario, tmp_path / "site") as site:
        # Long enough for a look at the system's tables to fall into it.
        site.server.control.plant_fault(Fault(kind="slow", seconds=2, times=1))
        watched = Watched(site, tmp_path / "sockets.jsonl")
        code, output, remotes = watched.run(FINOPS, *arguments)

    assert code == 0, output
    said = watched.said()
    assert [call for call in said if goes_out(call[1])] == []
    assert {host for host in remotes if not is_loopback(host)} == set()
    # Both watches have seen what they had to see: the calls to the simulated company.
    assert any(event == "socket.connect" and where[0] == "127.0.0.1" for event, where in said)
    assert "127.0.0.1" in remotes
