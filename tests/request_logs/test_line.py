"""What a line may hold, and that a refusal never repeats what it held."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.request_logs.line import CONTENT_FIELDS, FIELDS
from finops_pipeline.request_logs.lines import LONGEST_LINE, Lines, LongLine
from finops_pipeline.request_logs.parsing import SHOWN_LINES, Parsed, parsed

GOOD: dict[str, Any] = {
    "request_id": "req_1",
    "requested_at": "2026-03-01T09:30:00.25+02:00",
    "model": "gpt-4o-mini-2024-07-18",
    "openai_project_id": "proj_a",
    "input_tokens": 120,
}
SECRET = "the merger with Initech"


def read(*lines: bytes, cut_off: bool = False) -> Parsed:
    return parsed(Lines(1, list(lines), cut_off))


def line(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def reason(bad: bytes) -> str:
    """Why a line between two good ones is refused."""
    found = read(line(), bad, line())
    (rejection,) = found.rejections
    assert found.requests.column("line_number").to_pylist() == [1, 3]
    assert rejection.line_number == 2
    assert rejection.line_hash == hashlib.sha256(bad).hexdigest()
    return rejection.reason


def test_a_line_becomes_typed_columns() -> None:
    full = line(
        api_key_id="key_a",
        system_fingerprint="fp_1",
        service_tier="flex",
        is_batch=False,
        input_cached_tokens=20,
        input_audio_tokens=0,
        input_image_tokens=70,
        input_cached_image_tokens=10,
        output_tokens=30,
        output_audio_tokens=5,
        output_image_tokens=25,
        user_id="user-1",
        action="réponse",
        task_type="support",
        user_intent="refund an order",
        schema_version=1,
    )
    first, second = read(full, line(service_tier=None, output_tokens=None)).requests.to_pylist()
    assert first == {
        "line_number": 1,
        "request_id": "req_1",
        "requested_at": datetime(2026, 3, 1, 7, 30, 0, 250_000, UTC),
        "openai_project_id": "proj_a",
        "api_key_id": "key_a",
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_1",
        "service_tier": "flex",
        "is_batch": False,
        "input_tokens": 120,
        "input_cached_tokens": 20,
        "input_audio_tokens": 0,
        "input_image_tokens": 70,
        "input_cached_image_tokens": 10,
        "output_tokens": 30,
        "output_audio_tokens": 5,
        "output_image_tokens": 25,
        "user_id": "user-1",
        "action": "réponse",
        "task_type": "support",
        "user_intent": "refund an order",
    }
    assert second["service_tier"] is None
    assert [second[name] for name in ("output_tokens", "input_cached_tokens")] == [0, 0]
    # Nothing about images is not the same as none.
    assert [second[name] for name in ("input_image_tokens", "output_image_tokens")] == [None, None]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (b"", None),
        (b"  \r", None),
        (b"{", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b"{} {}", "request_id is missing"),
        (line() + line(), "is no JSON object"),
        (b'{"request_id": "\xff"}', "is not UTF-8"),
        (line().decode().encode("utf-16"), "is no JSON object"),
        (line(colour=SECRET), "field colour is unknown"),
        (line(prompt=SECRET), "field prompt holds message content, which is never stored"),
        (
            line(Messages=[{"content": SECRET}]),
            "field Messages holds message content, which is never stored",
        ),
        (
            line(**{SECRET: 1}),
            "a field is unknown, whose name is too long or too odd to repeat",
        ),
        (
            line(**{"x" * 41: 1}),
            "a field is unknown, whose name is too long or too odd to repeat",
        ),
        (
            line(**{"a` - at `$.action": SECRET}),
            "a field is unknown, whose name is too long or too odd to repeat",
        ),
        (line(action={"prompt": SECRET}), "action must be a text of 1 to 64 characters"),
        (line(action=[SECRET]), "action must be a text of 1 to 64 characters"),
        (line(action=SECRET * 5), "action must be a text of 1 to 64 characters"),
        (line(action=""), "action must be a text of 1 to 64 characters"),
        (line(user_intent=f"{SECRET}\n"), "user_intent must be printable and on one line"),
        (line(request_id="a\u202eb"), "request_id must be printable and on one line"),
        (line(request_id="r" * 129), "request_id must be a text of 1 to 128 characters"),
        (line(request_id=None), "request_id must be a text of 1 to 128 characters"),
        (line(input_tokens=-1), "input_tokens must be a whole number from 0 to 1000000000"),
        (line(input_tokens=10**9 + 1), "input_tokens must be a whole number from 0 to 1000000000"),
        (line(input_tokens="120"), "input_tokens must be a whole number from 0 to 1000000000"),
        (line(input_tokens=1.0), "input_tokens must be a whole number from 0 to 1000000000"),
        (line(input_tokens=True), "input_tokens must be a whole number from 0 to 1000000000"),
        (line(input_cached_tokens=121), "input_cached_tokens must not exceed input_tokens"),
        (line(input_audio_tokens=121), "input_audio_tokens must not exceed input_tokens"),
        (line(input_image_tokens=121), "input_image_tokens must not exceed input_tokens"),
        (
            line(input_image_tokens=9, input_cached_tokens=8, input_cached_image_tokens=9),
            "input_cached_image_tokens must not exceed input_cached_tokens",
        ),
        (
            line(input_image_tokens=8, input_cached_tokens=9, input_cached_image_tokens=9),
            "input_cached_image_tokens must not exceed input_image_tokens",
        ),
        (line(output_audio_tokens=1), "output_audio_tokens must not exceed output_tokens"),
        (
            line(output_tokens=4, output_image_tokens=5),
            "output_image_tokens must not exceed output_tokens",
        ),
        (
            line(output_tokens=9, output_audio_tokens=5, output_image_tokens=5),
            "output_audio_tokens and output_image_tokens exceed output_tokens",
        ),
        (
            line(requested_at="2026-03-01T09:30:00"),
            "requested_at must be a time with its zone, as 2026-03-01T09:30:00Z",
        ),
        (
            line(requested_at=1772357400),
            "requested_at must be a time with its zone, as 2026-03-01T09:30:00Z",
        ),
        (
            line(requested_at="0001-01-01T00:00:00+14:00"),
            "requested_at must lie between 2020 and 2099",
        ),
        (line(requested_at="2100-01-01T00:00:00Z"), "requested_at must lie between 2020 and 2099"),
        (line(is_batch=1), "is_batch must be true or false"),
        (line(schema_version=2), "schema_version must be 1"),
        (line(openai_project_id=None), "one of openai_project_id and api_key_id is needed"),
        (
            line(api_key_id="sk-proj-abc"),
            "api_key_id must be OpenAI's id of the key, never the key itself",
        ),
    ],
)
def test_bad_lines_are_refused_one_by_one(bad: bytes, expected: str | None) -> None:
    if expected is None:
        assert read(line(), bad, line()).rejections == []
        return
    assert reason(bad) == expected


@pytest.mark.parametrize("name", ["request_id", "requested_at", "model", "input_tokens"])
def test_what_is_needed_is_named_where_it_is_missing(name: str) -> None:
    assert reason(json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()) == (
        f"{name} is missing"
    )


def test_no_field_of_the_schema_is_a_name_for_content() -> None:
    assert not CONTENT_FIELDS & set(FIELDS)


def test_a_line_that_is_too_long_is_refused_unread() -> None:
    found = parsed(LongLine(7, "00ff"))
    assert found.requests.num_rows == 0
    assert [(one.line_number, one.line_hash, one.reason) for one in found.rejections] == [
        (7, "00ff", f"is longer than {LONGEST_LINE} bytes")
    ]


def test_of_many_bad_lines_the_first_are_kept_and_all_are_counted() -> None:
    found = read(line(), *[b"{"] * 5_000, line())
    assert found.requests.num_rows == 2
    assert found.rejected == 5_000
    assert [one.line_number for one in found.rejections] == list(range(2, SHOWN_LINES + 2))


def test_a_last_line_without_a_newline_counts_if_it_is_whole() -> None:
    assert read(line(), cut_off=True).requests.num_rows == 1
    (half,) = read(line()[:-9], cut_off=True).rejections
    assert half.reason == "is half-written: the file ends in its middle"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
NAMES = st.sampled_from([*FIELDS, "prompt"]) | st.text(max_size=50)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_no_reason_repeats_a_value(changes: dict[str, Any]) -> None:
    marked = {name: f"{SECRET}{value}" for name, value in changes.items()}
    for bad in (line(**changes), line(**marked)):
        found = read(bad)
        assert found.requests.schema.field("input_tokens").type == pa.int64()
        for rejection in found.rejections:
            assert SECRET not in rejection.reason
            assert rejection.reason.isprintable()
            assert len(rejection.reason) < 120
