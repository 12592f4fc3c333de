"""`finops requests`: what it lands, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finops_pipeline.registry import open_registry
from finops_pipeline.settings import load_settings
from finops_pipeline.warehouse import Warehouse
from tests.cli.conftest import Ended
from tests.e2e.traces import Search

Finops = Callable[..., Ended]

GOOD: dict[str, Any] = {
    "request_id": "req_1",
    "requested_at": "2026-03-01T09:30:00Z",
    "model": "gpt-4o-mini",
    "openai_project_id": "proj_a",
    "input_tokens": 10,
    "output_tokens": 2,
}

CONTENT_NAMES = (
    "messages",
    "prompt",
    "content",
    "input",
    "output",
    "completion",
    "response",
    "text",
    "choices",
    "instructions",
)


@pytest.fixture
def registered(data: Path) -> None:
    with open_registry(load_settings()) as registry:
        registry.add_team("web")
        registry.add_project("shop", team_id="web", openai_project_id="proj_a")


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def test_files_are_loaded_reported_and_listed(
    finops: Finops, registered: None, tmp_path: Path
) -> None:
    good = write(tmp_path / "good.jsonl", GOOD)
    ended = finops("requests", "load", str(good), "--no-build")
    assert ended.code == 0
    assert "`finops build` brings them into the published marts." in ended.stdout

    logs = tmp_path / "logs"
    logs.mkdir()
    write(
        logs / "bad.jsonl",
        GOOD,
        {**GOOD, "model": "o3"},
        {**GOOD, "prompt": "do not tell"},
        {**GOOD, "request_id": "req_2", "openai_project_id": "proj_unknown"},
    )
    (logs / "half.parquet").write_bytes(b"PAR1")
    ended = finops("requests", "load", str(logs), str(good), "--no-build", "--json")
    assert ended.code == 3
    assert "proj_unknown" in ended.stderr
    assert "do not tell" not in ended.stdout + ended.stderr
    said = json.loads(ended.stdout)
    assert said["unregistered_projects"] == ["proj_unknown"]
    assert said["published"] is None
    assert [
        (
            Path(file["file_name"]).name,
            file["status"],
            file["new_count"],
            file["duplicate_count"],
            file["conflict_count"],
            file["rejected_count"],
        )
        for file in said["files"]
    ] == [
        ("bad.jsonl", "partial", 1, 1, 1, 1),
        ("half.parquet", "failed", 0, 0, 0, 0),
        ("good.jsonl", "landed before", 0, 1, 0, 0),
    ]
    assert [(line["line"], line["reason"]) for line in said["files"][0]["lines"]] == [
        (2, "another line has the same request_id with other content; the first one stays"),
        (3, "field prompt holds message content, which is never stored"),
    ]
    assert said["files"][0]["lines"][1]["sha256"]

    listed = json.loads(finops("requests", "list", "--json").stdout)
    assert [(Path(entry["file_name"]).name, entry["status"]) for entry in listed] == [
        ("good.jsonl", "ok"),
        ("bad.jsonl", "partial"),
        ("half.parquet", "failed"),
    ]
    ended = finops("requests", "load", str(logs / "bad.jsonl"))
    assert ended.code == 0, "nothing new is no failure"
    assert "field prompt holds message content" in ended.stdout, "what was left out is told again"

    ended = finops("requests", "load", str(logs / "half.parquet"))
    assert ended.code == 1, "nothing but unreadable files is one"
    assert "No file could be read." in ended.stderr


def test_paths_are_looked_at_before_anything_else(
    finops: Finops, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in (("gone.jsonl", "There is no file"), ("empty", "lies no file")):
        ended = finops("requests", "load", str(tmp_path / path))
        assert ended.code == 2
        assert words in ended.stderr
    ended = finops("requests", "load", str(write(tmp_path / "a.jsonl", GOOD)))
    assert ended.code == 2
    assert "No team is registered." in ended.stderr
    assert not data.exists()


def test_checking_lands_nothing(finops: Finops, data: Path, tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", GOOD)
    bad = write(tmp_path / "bad.jsonl", GOOD, "{")
    assert finops("requests", "check", str(good)).code == 0
    ended = finops("requests", "check", str(good), str(bad), "--json")
    assert ended.code == 3
    assert [
        (Path(file["file_name"]).name, file["row_count"], file["rejected_count"])
        for file in json.loads(ended.stdout)["files"]
    ] == [("good.jsonl", 1, 0), ("bad.jsonl", 2, 1)]
    ended = finops("requests", "check", str(bad))
    assert "is no JSON object" in ended.stdout
    assert ended.code == 3
    assert not data.exists()


def test_checking_ends_as_loading_does(finops: Finops, registered: None, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.jsonl", "{", "{")
    assert finops("requests", "load", str(bad), "--no-build").code == 3, "it could be read"
    assert finops("requests", "check", str(bad)).code == 3
    damaged = tmp_path / "half.parquet"
    damaged.write_bytes(b"PAR1")
    ended = finops("requests", "check", str(damaged))
    assert ended.code == 1
    assert "No file could be read." in ended.stderr
    assert finops("requests", "check", str(damaged), str(bad)).code == 3


SAID = "Vq8TzW3mXc6LbN9vKd2JfH7sPg4YtR5u"
PLANTED: list[dict[str, Any]] = [
    *({name: SAID} for name in CONTENT_NAMES),
    {"metadata": {"request": {"body": SAID}}},
    {"action": {"messages": [{"role": "user", "content": SAID}]}},
    {"user_intent": f"{SAID}, and so on: no label has more than 64 letters"},
]
"""Under likely names, in a field of another one, and twice in fields of the schema."""


def test_message_content_is_nowhere_afterwards(
    finops: Finops,
    registered: None,
    data: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs = tmp_path_factory.mktemp("logs")
    search = Search({"content": SAID})
    write(
        logs / "a.jsonl",
        GOOD,
        *({**GOOD, "request_id": "bad", **fields} for fields in PLANTED),
        {**GOOD, f"{SAID} as a name": 1},
        {**GOOD, "user_intent": f"one line\n{SAID}"},
        '{"request_id": "' + SAID + '", "prompt": "half a',
    )
    row = {**GOOD, "requested_at": datetime.fromisoformat(GOOD["requested_at"])}
    for number, fields in enumerate(PLANTED):
        rows = [{**row, "request_id": "bad", **fields}]
        pq.write_table(pa.Table.from_pylist(rows), logs / f"{number:02}.parquet")

    hold = Warehouse.writing
    loaded: set[str] = set()

    @contextmanager
    def looking(warehouse: Warehouse, purpose: str) -> Iterator[None]:
        """When dlt is about to load, its files are there; afterwards they are gone."""
        search.folders(data / "tmp")
        loaded.update(path.name.partition(".")[0] for path in data.rglob("tmp/**/*.parquet"))
        with hold(warehouse, purpose):
            yield

    monkeypatch.setattr(Warehouse, "writing", looking)
    ended = finops("requests", "load", str(logs), "--no-build", "--json")
    assert ended.code == 3
    said = json.loads(ended.stdout)
    assert sum(file["new_count"] for file in said["files"]) == 1
    assert sum(file["rejected_count"] for file in said["files"]) == len(PLANTED) + 3 + 2
    assert sum(file["status"] == "failed" for file in said["files"]) == len(PLANTED) - 2
    search.text("printed", ended.stdout + ended.stderr)
    search.folders(tmp_path)
    assert search.found == set()
    places = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert places >= {"warehouse.duckdb", "dagster.yaml"}, "all that a load leaves was looked at"
    assert loaded >= {"requests", "request_files"}
