"""Request logs land once: the same file, overlapping ones, and one that broke off half way."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from finops_pipeline.ingestion import request_files
from finops_pipeline.ingestion.pseudonyms import forget, is_pseudonym, pseudonym
from finops_pipeline.ingestion.request_files import land_request_files
from finops_pipeline.ingestion.request_ledger import waiting_files
from finops_pipeline.ingestion.request_outcome import FileOutcome, LandedDay, RequestLanding
from finops_pipeline.request_logs import SHOWN_LINES
from tests.ingestion.company import Company, opened_company

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def company(tmp_path: Path, empty_warehouse: Path) -> Iterator[Company]:
    with opened_company(tmp_path, "http://127.0.0.1:9", empty_warehouse, kind=Company) as company:
        company.register("search")
        company.registry.add_project("ranking", team_id="search", openai_project_id="proj_a")
        yield company


def request(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "request_id": f"req_{number}",
        "requested_at": (NOON + timedelta(hours=number)).isoformat(),
        "model": "gpt-4o-mini-2024-07-18",
        "openai_project_id": "proj_a",
        "input_tokens": 100 + number,
        "output_tokens": 7,
        "user_id": f"user-{number % 3}",
        "action": "answer",
        **changes,
    }


def written(folder: Path, name: str, *requests: dict[str, Any] | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [each if isinstance(each, str) else json.dumps(each) for each in requests]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def land(company: Company, *paths: Path, **options: Any) -> RequestLanding:
    return land_request_files(
        paths, warehouse=company.warehouse, registry=company.registry, run_id="a-run", **options
    )


def counts(file: FileOutcome) -> tuple[int, int, int, int]:
    return file.new, file.duplicates, file.conflicts, file.rejected


def landed_ids(company: Company) -> list[str]:
    found = company.raw(
        "SELECT request_id FROM raw.requests WHERE _dlt_load_id IN "
        "(SELECT load_id FROM raw._dlt_loads WHERE status = 0) ORDER BY request_id"
    )
    return [request_id for (request_id,) in found]


def entries(company: Company) -> list[tuple[Any, ...]]:
    return company.raw(
        "SELECT file_name, status, row_count, new_count, duplicate_count, conflict_count, "
        "rejected_count FROM raw.request_files ORDER BY landed_at, file_name"
    )


def test_a_file_lands_with_its_days_and_pseudonyms(company: Company, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", *map(request, range(14)))
    told: list[dict[date, LandedDay]] = []
    landing = land(company, path, folder=tmp_path, on_landed=lambda days: told.append(dict(days)))
    (file,) = landing.files
    assert counts(file) == (14, 0, 0, 0)
    assert file.is_whole
    assert landing.loads == 1
    first, second = NOON.date(), NOON.date() + timedelta(days=1)
    assert told == [{first: LandedDay(12, 1, 0, 0), second: LandedDay(2, 1, 0, 0)}]
    assert (file.first_day, file.last_day) == (first, second)

    file_id = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = company.raw(
        "SELECT file_id, line_number, cost_date, requested_at, input_tokens, output_audio_tokens, "
        "user_id FROM raw.requests ORDER BY line_number"
    )
    name = pseudonym(company.registry.pseudonym_key(), "user-1")
    assert rows[1] == (file_id, 2, first, NOON + timedelta(hours=1), 101, 0, name)
    assert all(is_pseudonym(row[-1]) for row in rows)
    known = dict(company.raw("SELECT user_id, user_pseudonym FROM raw.user_pseudonyms"))
    assert known["user-1"] == name
    assert entries(company) == [("a.jsonl", "ok", 14, 14, 0, 0, 0)]


def test_the_same_file_lands_once_whatever_its_name(company: Company, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", *map(request, range(4)), "{")
    twin = written(tmp_path, "twin.jsonl", *map(request, range(4)), "{")
    first, second = land(company, path, twin, folder=tmp_path).files
    assert counts(first) == (4, 0, 0, 1)
    assert second.landed_before
    assert counts(second) == (0, 4, 0, 1)
    again = land(company, path, folder=tmp_path)
    assert again.loads == 0, "nothing is written for a file that is on record as it is"
    assert again.files[0].landed_before
    assert again.files[0].lines == second.lines == first.lines, "what was left out is told again"
    assert [line.line_number for line in first.lines] == [5]
    assert len(landed_ids(company)) == 4
    assert [name for name, *_ in entries(company)] == ["a.jsonl", "twin.jsonl"]


def test_overlapping_files_land_each_request_once_and_the_first_of_a_conflict(
    company: Company, tmp_path: Path
) -> None:
    land(company, written(tmp_path, "a.jsonl", *map(request, range(6))))
    # The same in another notation, a conflict with what has landed, and two within the file.
    elsewhere = (NOON + timedelta(hours=1)).astimezone().isoformat()
    reordered = dict(reversed(request(1, requested_at=elsewhere).items()))
    changed = request(2, output_tokens=8)
    later = request(7, model="o3")
    path = written(tmp_path, "b.jsonl", reordered, changed, request(7), later, request(7))
    parquet = tmp_path / "c.parquet"
    pq.write_table(_as_table([request(5), request(8)]), parquet)

    second, third = land(company, path, parquet).files
    assert counts(second) == (1, 2, 2, 0)
    assert counts(third) == (1, 1, 0, 0), "a row says the same as a line"
    assert [(one.line_number, one.line_hash) for one in second.lines] == [
        (number, hashlib.sha256(json.dumps(each).encode()).hexdigest())
        for number, each in ((2, changed), (4, later))
    ]
    assert {one.reason for one in second.lines} == {
        "another line has the same request_id with other content; the first one stays"
    }
    assert landed_ids(company) == [f"req_{number}" for number in (0, 1, 2, 3, 4, 5, 7, 8)]
    kept = "SELECT output_tokens, model FROM raw.requests WHERE request_id IN ('req_2', 'req_7')"
    assert set(company.raw(kept)) == {(7, "gpt-4o-mini-2024-07-18")}


def test_of_a_file_that_is_wrong_from_end_to_end_only_the_first_lines_are_held(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finops_pipeline.request_logs.lines._BLOCK_BYTES", 4000)
    held: list[int] = []
    verdicts = request_files._Landing._counted

    def looked_at(landing: Any, part: Any, not_new: Any) -> Any:
        new = verdicts(landing, part, not_new)
        held.extend([len(part.rejections), *map(len, landing._conflicts.values())])
        return new

    monkeypatch.setattr(request_files._Landing, "_counted", looked_at)
    bad = [request(1, output_tokens=number) for number in range(8, 408)]
    path = written(tmp_path, "a.jsonl", request(1), *bad, *["{"] * 3_000)
    (file,) = land(company, path).files
    assert counts(file) == (1, 0, 400, 3_000)
    assert len(held) > 20
    assert max(held) == SHOWN_LINES
    assert [line.line_number for line in file.lines] == list(range(2, SHOWN_LINES + 2))
    assert land(company, path).files[0].lines == file.lines


def _as_table(requests: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    for each in requests:
        each["requested_at"] = datetime.fromisoformat(each["requested_at"])
    return pa.Table.from_pylist(requests)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_a_landing_that_broke_off_lands_the_rest_when_it_is_run_again(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    monkeypatch.setattr(request_files, "_LOAD_ROWS", 1)
    monkeypatch.setattr("finops_pipeline.request_logs.lines._BLOCK_BYTES", 4000)
    path = written(tmp_path, "a.jsonl", *map(request, range(40)))

    def interrupt(_: object) -> None:
        raise stop

    with pytest.raises(stop):
        land(company, path, on_landed=interrupt)
    before = landed_ids(company)
    assert 0 < len(before) < 40
    assert entries(company) == [], "the file has not landed"
    assert list((company.settings.data_dir / "tmp").iterdir()) == []

    landing = land(company, path)
    assert counts(landing.files[0]) == (40 - len(before), len(before), 0, 0)
    assert landed_ids(company) == sorted(f"req_{number}" for number in range(40))
    assert land(company, path).files[0].landed_before


def test_a_load_that_never_completed_is_landed_again(company: Company, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", *map(request, range(3)))
    land(company, path)
    with company.warehouse.connect() as connection:
        connection.execute("DELETE FROM raw._dlt_loads")
    assert landed_ids(company) == []
    assert counts(land(company, path).files[0]) == (3, 0, 0, 0)
    assert len(landed_ids(company)) == 3


def test_a_bad_line_or_file_never_loses_the_others(company: Company, tmp_path: Path) -> None:
    good = written(tmp_path, "good.jsonl", request(1), '{"request_id": 5}', request(2))
    half = tmp_path / "half.jsonl"
    half.write_bytes(good.read_bytes()[:-30])
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(request(3)).encode())[:-9])
    empty = written(tmp_path, "empty.jsonl")
    landing = land(
        company, good, half, cut, empty, tmp_path, tmp_path / "gone.jsonl", folder=tmp_path
    )
    assert [(file.status.value, *counts(file)) for file in landing.files] == [
        ("partial", 2, 0, 0, 1),
        ("partial", 0, 1, 0, 2),
        ("failed", 0, 0, 0, 0),
        ("ok", 0, 0, 0, 0),
        ("failed", 0, 0, 0, 0),
        ("failed", 0, 0, 0, 0),
    ]
    assert landed_ids(company) == ["req_1", "req_2"]
    assert len(entries(company)) == 6


def test_a_line_has_the_hash_that_it_had_before_there_were_later_fields(
    company: Company, tmp_path: Path
) -> None:
    """Else a call that landed long ago would conflict with itself when it is handed in again."""
    none = dict.fromkeys(("input_image_tokens", "input_cached_image_tokens"), 0)
    same = request(1, user_id=None)
    path = written(tmp_path, "a.jsonl", same, same | none | {"output_image_tokens": None})
    other = written(tmp_path, "b.jsonl", same | {"output_image_tokens": 7})
    first, second = land(company, path, other).files
    assert counts(first) == (1, 1, 0, 0)
    assert counts(second) == (0, 0, 1, 0)
    assert company.raw("SELECT content_hash FROM raw.requests") == [
        ("2e10135e99291b169d4ebc69c4dada2f",)
    ]


def test_a_project_that_is_not_registered_is_named_and_its_requests_land(
    company: Company, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        "a.jsonl",
        request(1, openai_project_id="proj_x"),
        request(2, openai_project_id=None, api_key_id="key_1"),
    )
    landing = land(company, path)
    assert landing.unregistered == ["proj_x"]
    assert not landing.files[0].is_whole
    assert landed_ids(company) == ["req_1", "req_2"]


def test_an_erased_user_does_not_come_back(company: Company, tmp_path: Path) -> None:
    gone = pseudonym(company.registry.pseudonym_key(), "user-1")
    company.registry.erase_user(gone)
    forget(company.warehouse, gone)
    land(company, written(tmp_path / "logs", "a.jsonl", *map(request, range(3))))
    known = dict(company.raw("SELECT user_pseudonym, user_id FROM raw.user_pseudonyms"))
    assert sorted(known.values()) == ["user-0", "user-2"]
    assert (gone,) in company.raw("SELECT user_id FROM raw.requests")


def test_files_wait_until_they_are_quiet_and_until_they_have_landed(
    company: Company, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    quiet = datetime.now(UTC) + timedelta(minutes=2)
    path = written(folder, "deep/a.jsonl", request(1))
    assert waiting_files(company.warehouse, folder, datetime.now(UTC)) == []
    assert waiting_files(company.warehouse, folder, quiet) == [path]
    land(company, path, folder=folder)
    assert waiting_files(company.warehouse, folder, quiet) == []
    written(folder, "deep/a.jsonl", request(1), request(2))
    assert waiting_files(company.warehouse, folder, quiet) == [path]
    (file,) = land(company, path, folder=folder).files
    assert counts(file) == (1, 1, 0, 0)
    (folder / "twin.jsonl").write_bytes(path.read_bytes())
    (file,) = land(company, folder / "twin.jsonl", folder=folder).files
    assert file.landed_before
    assert waiting_files(company.warehouse, folder, quiet) == [], "known by its name as well now"
