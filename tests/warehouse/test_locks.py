"""One writer at a time; whoever waits learns for whom; a dead holder holds nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.warehouse import locks
from finops_pipeline.warehouse.locks import WriterLock
from tests.warehouse.conftest import StartProgram

HOLD_FOR_EVER = """
import sys
from pathlib import Path
from finops_pipeline.warehouse.locks import WriterLock
with WriterLock(Path(sys.argv[1]), timeout=0).hold("loading raw tables"):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.lock"


@contextmanager
def held_by_a_thread(path: Path, release: threading.Event) -> Iterator[None]:
    holding = threading.Event()

    def hold() -> None:
        with WriterLock(path, timeout=5).hold("building marts"):
            holding.set()
            release.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(5)
    try:
        yield
    finally:
        release.set()
        thread.join()


def test_a_note_beside_the_lock_says_who_holds_it(path: Path) -> None:
    note = path.with_suffix(".holder.json")
    with WriterLock(path, timeout=0).hold("building marts"):
        written = json.loads(note.read_text())
    assert (written["pid"], written["doing"]) == (os.getpid(), "building marts")
    assert not note.exists()


def test_two_writers_of_one_process_exclude_each_other(path: Path) -> None:
    with (
        held_by_a_thread(path, threading.Event()),
        pytest.raises(FinopsError) as caught,
        WriterLock(path, timeout=0).hold("loading"),
    ):
        pytest.fail("two hold the lock")
    assert f"is still held by process {os.getpid()} (building marts, since " in caught.value.message
    assert str(path.parent) in caught.value.message
    assert "after 0 s of waiting" in caught.value.message
    assert "Wait for it to end" in caught.value.fix


def test_whoever_waits_is_told_for_whom_and_then_gets_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(locks, "_REMIND_SECONDS", 0.0)
    monkeypatch.setattr(locks, "_POLL_SECONDS", 0.01)
    release = threading.Event()
    told: list[str] = []

    def listen(sentence: str) -> None:
        told.append(sentence)
        if len(told) == 2:
            release.set()

    with (
        held_by_a_thread(path, release),
        WriterLock(path, timeout=5, on_wait=listen).hold("loading"),
    ):
        assert len(told) >= 2, "told again after a while"
    assert all(
        sentence.startswith(
            f"Waiting for the warehouse: held by process {os.getpid()} (building marts, since "
        )
        for sentence in told
    )


def test_a_short_wait_is_not_worth_a_word(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release = threading.Event()
    with held_by_a_thread(path, release):
        threading.Timer(0.1, release.set).start()
        with WriterLock(path, timeout=5).hold("loading"):
            pass
    assert capsys.readouterr().err == ""


def test_the_lock_is_free_after_a_failure(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), WriterLock(path, timeout=0).hold("loading"):
        _ = 1 / 0
    with WriterLock(path, timeout=0).hold("loading"):
        pass


def test_a_torn_note_names_nobody(path: Path) -> None:
    with held_by_a_thread(path, threading.Event()):
        path.with_suffix(".holder.json").write_text('{"pid": 1')
        with (
            pytest.raises(FinopsError, match="held by a process that left no note about itself"),
            WriterLock(path, timeout=0).hold("loading"),
        ):
            pytest.fail("two hold the lock")


@pytest.mark.slow
def test_a_killed_holder_holds_nothing(path: Path, start_program: StartProgram) -> None:
    holder = start_program(HOLD_FOR_EVER, path)
    with (
        pytest.raises(
            FinopsError, match=rf"held by process {holder.pid} \(loading raw tables, since "
        ),
        WriterLock(path, timeout=0).hold("loading"),
    ):
        pytest.fail("two hold the lock")
    holder.kill()
    holder.wait()
    assert path.with_suffix(".holder.json").exists(), "it had no time to clean up"
    with WriterLock(path, timeout=0).hold("building marts"):
        assert json.loads(path.with_suffix(".holder.json").read_text())["pid"] == os.getpid()
