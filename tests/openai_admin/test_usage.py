"""Usage as the endpoints give it: every measure exact, nothing of people, absences kept apart."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops_pipeline.openai_admin import (
    ENDPOINTS,
    MEASURES,
    USAGE_SCHEMA,
    OpenAIError,
    UsageBucket,
    UsageEndpoint,
)
from tests.openai_admin.conftest import KEY, Reply, ScriptedServer, bucket, page

DAY = date(2026, 1, 1)
NEXT = date(2026, 1, 2)


def row(**fields: Any) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "project_id": "proj_a",
        "model": "gpt-4o-2024-08-06",
    } | fields


def read(
    server: ScriptedServer, *rows: Any, endpoint: UsageEndpoint = "completions"
) -> UsageBucket:
    return read_body(server, page(bucket(DAY, *rows)), endpoint)


def read_body(
    server: ScriptedServer, body: Any, endpoint: UsageEndpoint = "completions"
) -> UsageBucket:
    server.play(Reply(body))
    with server.client() as client:
        ((answer,),) = [page.buckets for page in client.usage(endpoint, DAY, NEXT)]
    return answer


def present(answer: UsageBucket) -> list[dict[str, Any]]:
    """Rows without their nulls."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in answer.rows.to_pylist()
    ]


def test_the_ten_endpoints_are_described() -> None:
    assert set(ENDPOINTS) == set(get_args(UsageEndpoint))
    assert len(ENDPOINTS) == 10
    for known in ENDPOINTS.values():
        assert set(known.measures) <= set(MEASURES)
        assert {*known.group_by, *known.measures} <= set(USAGE_SCHEMA.names)


@pytest.mark.parametrize(
    ("endpoint", "group_by"),
    [
        ("completions", "project_id user_id api_key_id model batch service_tier"),
        ("embeddings", "project_id user_id api_key_id model"),
        ("moderations", "project_id user_id api_key_id model"),
        ("images", "project_id user_id api_key_id model size source"),
        ("audio_speeches", "project_id user_id api_key_id model"),
        ("audio_transcriptions", "project_id user_id api_key_id model"),
        ("vector_stores", "project_id"),
        ("code_interpreter_sessions", "project_id"),
        ("file_search_calls", "project_id user_id api_key_id vector_store_id"),
        ("web_search_calls", "project_id user_id api_key_id model context_level"),
    ],
)
def test_request_is_as_fine_as_the_endpoint_allows(
    server: ScriptedServer, endpoint: UsageEndpoint, group_by: str
) -> None:
    answer = read(server, endpoint=endpoint)

    (asked,) = server.asked
    assert asked.path == f"/v1/organization/usage/{endpoint}"
    assert asked.authorization == f"Bearer {KEY}"
    assert asked["start_time"] == "1767225600"
    assert asked["end_time"] == "1767312000"
    assert asked["bucket_width"] == "1d"
    assert asked.all("group_by[]") == group_by.split()
    assert answer.query_signature == group_by.replace(" ", ",")
    assert answer.rows.schema == USAGE_SCHEMA
    assert answer.rows.num_rows == 0


def test_every_column_arrives(server: ScriptedServer) -> None:
    texts = {
        name: f"a {name}"
        for name in USAGE_SCHEMA.names
        if USAGE_SCHEMA.field(name).type == pa.string()
    }
    measures = {name: number for number, name in enumerate(MEASURES, start=1)}
    answer = read(server, texts | measures | {"batch": True, "object": "x"})
    assert answer.rows.to_pylist() == [
        texts | {"batch": True} | {name: Decimal(number) for name, number in measures.items()}
    ]
    assert answer.organization_id == "a organization_id"
    assert answer.unknown_fields == ()


def test_schema_is_strings_one_boolean_and_exact_quantities() -> None:
    types = {USAGE_SCHEMA.field(name).type for name in MEASURES}
    assert types == {pa.decimal128(28, 6)}
    assert USAGE_SCHEMA.field("batch").type == pa.bool_()
    assert all(field.nullable for field in USAGE_SCHEMA)


def test_absent_measures_stay_null(server: ScriptedServer) -> None:
    # The whole of a recorded row of February 2025.
    old = {
        "object": "organization.usage.completions.result",
        "input_tokens": 3718360,
        "output_tokens": 97756,
        "num_model_requests": 3053,
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "model": None,
        "batch": None,
        "input_cached_tokens": 76544,
        "input_audio_tokens": 5776,
        "output_audio_tokens": 3166,
    }
    answer = read(server, old)
    assert present(answer) == [
        {
            "input_tokens": 3718360,
            "output_tokens": 97756,
            "num_model_requests": 3053,
            "input_cached_tokens": 76544,
            "input_audio_tokens": 5776,
            "output_audio_tokens": 3166,
        }
    ]
    assert answer.unknown_fields == ()


@pytest.mark.parametrize("batch", [True, False, None])
def test_batch_is_true_false_or_unknown(server: ScriptedServer, batch: bool | None) -> None:
    assert read(server, row(batch=batch)).rows["batch"].to_pylist() == [batch]


def test_names_of_result_objects_are_not_trusted(server: ScriptedServer) -> None:
    rows = [
        {"object": name, "num_requests": 7, "vector_store_id": "vs_1"}
        for name in ("organization.usage.file_searches.result", "organization.costs.result", None)
    ]
    answer = read(server, *rows, {"num_requests": 7}, endpoint="file_search_calls")
    assert answer.rows["num_requests"].to_pylist() == [Decimal(7)] * 4


def test_people_are_no_news_and_do_not_land(server: ScriptedServer) -> None:
    answer = read(
        server,
        row(
            user_id="user-1",
            user_email="someone@example.com",
            organization_name="Acme",
            project_name="Search",
            api_source="api",
        ),
    )
    assert answer.unknown_fields == ()
    assert "someone" not in str(answer.rows.to_pylist())
    assert answer.rows["user_id"].to_pylist() == ["user-1"]


def test_unknown_fields_are_tolerated_and_only_their_names_are_told(
    server: ScriptedServer,
) -> None:
    body = page(bucket(DAY, row(), row(mood="secret", input_video_tokens=3), shard=1))
    answer = read_body(server, body)
    assert answer.unknown_fields == ("bucket.shard", "result.input_video_tokens", "result.mood")
    assert answer.rows["input_tokens"].to_pylist() == [Decimal(1000)] * 2


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("9007199254740993", "9007199254740993"),
        ('"9007199254740993"', "9007199254740993"),
        ("1e3", "1000"),
        ("12.0000005", "12"),
        ("9999999999999999999999.999999", "9999999999999999999999.999999"),
        ("-5", "-5"),
        ("-0.0", "0"),
    ],
)
def test_quantity_is_the_literal(server: ScriptedServer, literal: str, expected: str) -> None:
    body = json.dumps(page(bucket(DAY, row(usage_bytes="@@")))).replace('"@@"', literal)
    answer = read_body(server, body.encode(), "vector_stores")
    assert answer.rows["usage_bytes"].to_pylist() == [Decimal(expected)]


@pytest.mark.parametrize("measure", ["input_tokens", "input_cached_image_tokens", "num_requests"])
@pytest.mark.parametrize(
    "literal", ["NaN", '"NaN"', "Infinity", '"-Infinity"', "1e22", "-1e22", '"many"', "true", "[]"]
)
def test_unusable_quantity_names_the_row(
    server: ScriptedServer, measure: str, literal: str
) -> None:
    body = json.dumps(page(bucket(DAY, row(), row(**{measure: "@@"})))).replace('"@@"', literal)
    with pytest.raises(OpenAIError) as caught:
        read_body(server, body.encode())
    assert caught.value.reason == "broken_answer"
    where = f"{measure} on 2026-01-01, row 2 (model 'gpt-4o-2024-08-06')"
    assert where in caught.value.message
    assert "Team 'growth', page 1 of the usage of completions" in caught.value.message
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "broken", [None, 7, {"model": 5}, {"batch": "yes"}, {"service_tier": {}}, {"project_id": 1}]
)
def test_row_of_another_shape_is_named(server: ScriptedServer, broken: object) -> None:
    with pytest.raises(OpenAIError, match=r"2026-01-01, row 2 \(no model\)") as caught:
        read(server, row(), broken)
    assert caught.value.reason == "broken_answer"


counts = st.integers(0, 10**21)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(st.sampled_from(MEASURES), counts), max_size=20))
def test_any_counts_arrive_as_they_are(
    lasting_server: ScriptedServer, rows: list[dict[str, int]]
) -> None:
    assert present(read(lasting_server, *rows)) == rows
