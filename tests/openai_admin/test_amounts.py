"""Money arrives as it was written, to the 18th decimal, or the row is named."""

from __future__ import annotations

import json
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finops_pipeline.openai_admin import COSTS_SCHEMA, CostsBucket, OpenAIError
from tests.openai_admin.conftest import Reply, ScriptedServer, bucket, page, row

DAY = date(2026, 1, 1)
EIGHTEEN = Decimal("1E-18")
EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)


def read(server: ScriptedServer, *rows: Any, **fields: Any) -> CostsBucket:
    return read_body(server, page(bucket(DAY, *rows, **fields)))


def read_body(server: ScriptedServer, body: Any) -> CostsBucket:
    server.play(Reply(body))
    with server.client() as client:
        ((answer,),) = [
            page.buckets for page in client.costs(DAY, date(2026, 1, 2), rows_per_bucket=1)
        ]
    return answer


def with_amount(literal: str) -> bytes:
    """A page whose amount is this very text, which ``json.dumps`` would rewrite."""
    return json.dumps(page(bucket(DAY, row(0), row("@@")))).replace('"@@"', literal).encode()


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("0.13080438340307526", "0.130804383403075260"),
        ('"0E-6176"', "0"),
        ("0E-6176", "0"),
        ('"0.130804383403075261234567890123456789012"', "0.130804383403075261"),
        ("0.130804383403075261234567890123456789012", "0.130804383403075261"),
        ("0.0000000000000000005", "0"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ('"-12.50"', "-12.5"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ('"1E+3"', "1000"),
        ("12345678901234567890", "12345678901234567890"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
        ("1.5e-400", "0"),
        ("null", None),
    ],
)
def test_amount_is_the_literal(server: ScriptedServer, literal: str, expected: str | None) -> None:
    amounts = read_body(server, with_amount(literal)).rows["amount"]
    assert amounts.type == pa.decimal128(38, 18)
    assert amounts[1].as_py() == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    "literal",
    [
        '"NaN"',
        '"sNaN"',
        '"Infinity"',
        '"-Infinity"',
        "NaN",
        "-Infinity",
        "1e309",
        '"1e309"',
        "1e20",
        "-1e20",
        "99999999999999999999.9999999999999999999",
        "1e99999999999999999999",
        '"twelve"',
        '""',
        "true",
        "[1]",
    ],
)
def test_unusable_amount_names_the_row(server: ScriptedServer, literal: str) -> None:
    with pytest.raises(OpenAIError) as caught:
        read_body(server, with_amount(literal))
    assert caught.value.reason == "broken_answer"
    assert "2026-01-01, row 2 (line item 'gpt-4o-2024-08-06, input')" in caught.value.message
    assert "page 1" in caught.value.message
    assert "growth" in caught.value.message
    assert len(server.asked) == 1, "asking again would bring the same"


def test_constant_outside_the_known_fields_is_no_json_either(server: ScriptedServer) -> None:
    body = json.dumps(page(bucket(DAY, row(0, surprise=float("nan"))))).encode()
    with pytest.raises(OpenAIError, match="holds NaN or Infinity"):
        read_body(server, body)


def test_amount_may_be_missing_in_every_way(server: ScriptedServer) -> None:
    bare = {"object": "organization.costs.result"}
    rows = read(
        server,
        bare,
        bare | {"amount": None},
        bare | {"amount": {}},
        bare | {"amount": {"value": None, "currency": None}},
        bare | {"amount": {"value": 1, "currency": "eur"}},
    ).rows
    assert rows["amount"].to_pylist() == [None, None, None, None, Decimal(1)]
    assert rows["currency"].to_pylist() == [None, None, None, None, "EUR"]


def test_every_column_arrives(server: ScriptedServer) -> None:
    full = row(
        "2.5",
        api_key_id="key_1",
        quantity=9007199254740993,
        quantity_unit="tokens",
        organization_id="org-a",
        organization_name="Ä GmbH",
        project_name="Search",
        user_id="user-1",
        user_email="someone@example.com",
        api_source="api",
    )
    answer = read(server, full, start_time_iso="2026-01-01T00:00:00", end_time_iso=None)
    assert answer.rows.schema == COSTS_SCHEMA
    assert answer.rows.to_pylist() == [
        {
            "organization_id": "org-a",
            "organization_name": "Ä GmbH",
            "project_id": "proj_a",
            "project_name": "Search",
            "api_key_id": "key_1",
            "line_item": "gpt-4o-2024-08-06, input",
            "amount": Decimal("2.5"),
            "currency": "USD",
            "quantity": Decimal(9007199254740993),
            "quantity_unit": "tokens",
        }
    ]
    assert answer.unknown_fields == ()


def test_shape_of_a_recorded_account(server: ScriptedServer) -> None:
    answer = read(
        server,
        {
            "object": "organization.costs.result",
            "amount": {"value": 0.13080438340307526, "currency": "usd"},
            "line_item": None,
            "project_id": None,
            "organization_id": "org-example001",
        },
    )
    (only,) = answer.rows.to_pylist()
    assert only["amount"] == Decimal("0.13080438340307526")
    assert (only["project_id"], only["line_item"]) == (None, None)
    assert answer.organization_id == "org-example001"


def test_empty_bucket_has_the_schema(server: ScriptedServer) -> None:
    answer = read(server)
    assert answer.rows.num_rows == 0
    assert answer.rows.schema == COSTS_SCHEMA


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("9007199254740993", "9007199254740993"),
        ('"9007199254740993.25"', "9007199254740993.25"),
        ("9999999999999999999999.999999", "9999999999999999999999.999999"),
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
    ],
)
def test_quantity_keeps_six_places(server: ScriptedServer, literal: str, expected: str) -> None:
    body = json.dumps(page(bucket(DAY, row(0, quantity="@@")))).replace('"@@"', literal)
    assert read_body(server, body.encode()).rows["quantity"].to_pylist() == [Decimal(expected)]


@pytest.mark.parametrize("quantity", ["NaN", 1e22, "many"])
def test_unusable_quantity_names_the_row(server: ScriptedServer, quantity: object) -> None:
    with pytest.raises(OpenAIError, match=r"quantity on 2026-01-01, row 1 \(no line item\)"):
        read(server, row(0, quantity=quantity, line_item=None))


def test_unknown_fields_are_tolerated_and_named(server: ScriptedServer) -> None:
    odd = row("0.5", tier="batch")
    odd["amount"]["fx"] = {"secret": "sk-admin-leak"}
    answer = read(server, row(1), odd, row(2, zone=1), shard=7)
    assert answer.unknown_fields == ("bucket.shard", "amount.fx", "result.tier", "result.zone")
    assert answer.rows["amount"].to_pylist() == [Decimal(1), Decimal("0.5"), Decimal(2)]


def test_names_of_unknown_fields_are_bounded(server: ScriptedServer) -> None:
    answer = read(server, row(1, **{f"x{number:03}" * 40: 1 for number in range(500)}))
    assert len(answer.unknown_fields) == 20
    assert max(map(len, answer.unknown_fields)) <= 80


@pytest.mark.parametrize(
    "broken", [None, 7, {"line_item": 5}, {"amount": 5}, {"amount": {"value": 1, "currency": 1}}]
)
def test_row_of_another_shape_is_named(server: ScriptedServer, broken: object) -> None:
    with pytest.raises(OpenAIError, match="on 2026-01-01, row 2 ") as caught:
        read(server, row(1), broken)
    assert caught.value.reason == "broken_answer"


def test_text_that_is_no_utf8_is_refused(server: ScriptedServer) -> None:
    body = json.dumps(page(bucket(DAY, row(1)))).encode().replace(b"proj_a", b"proj_\xff")
    with pytest.raises(OpenAIError, match="not readable text") as caught:
        read_body(server, body)
    assert caught.value.reason == "broken_answer"


digits = st.text("0123456789", min_size=1, max_size=39)


@st.composite
def literals(draw: st.DrawFn) -> str:
    """JSON numbers below 1e20: up to 20 places before the point, 39 after, maybe an exponent."""
    sign = draw(st.sampled_from(["", "-"]))
    whole = str(int(draw(st.text("0123456789", min_size=1, max_size=20))))
    fraction = draw(st.just("") | digits.map(lambda text: f".{text}"))
    exponent = draw(st.just("") | st.integers(-40, 0).map(lambda power: f"e{power}"))
    return f"{sign}{whole}{fraction}{exponent}"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(literals(), st.booleans()), min_size=1, max_size=30))
@example([("0.0000000000000000005", True), ("-0.0000000000000000015", False)])
def test_any_literal_is_rounded_half_even_once(
    lasting_server: ScriptedServer, amounts: list[tuple[str, bool]]
) -> None:
    # The largest amount whose rounding stays below the limit; larger ones are refused.
    amounts = [a for a in amounts if abs(EXACT.quantize(Decimal(a[0]), EIGHTEEN)) < Decimal("1E20")]
    rows = [row(f"@{number}@") for number in range(len(amounts))]
    body = json.dumps(page(bucket(DAY, *rows)))
    for number, (literal, as_string) in enumerate(amounts):
        body = body.replace(f'"@{number}@"', f'"{literal}"' if as_string else literal)

    arrived = read_body(lasting_server, body.encode()).rows["amount"].to_pylist()

    assert arrived == [EXACT.quantize(Decimal(literal), EIGHTEEN) for literal, _ in amounts]
