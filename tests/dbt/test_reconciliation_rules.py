"""Rules of the reconciliation, each on a project of its own, and that it follows what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from tests.dbt.conftest import MODEL_ENDPOINTS, Marts, Warehouse, at, cost, listed_prices, used

DAY = date(2026, 3, 16)
BEFORE = DAY - timedelta(days=1)
O3_BEFORE, O3_AFTER = date(2025, 6, 9), date(2025, 6, 10)
BROKEN_OFF = date(2026, 3, 2)
CRUMBS = (date(2026, 2, 2), date(2026, 2, 3), date(2026, 2, 4))

GPT_4O, GPT_5, O3 = "gpt-4o-2024-08-06", "gpt-5-2025-08-07", "o3-2025-04-16"
MINI = "gpt-4o-mini-2024-07-18"
MODERATION = "omni-moderation-latest"
MILLION = 1_000_000
# USD for a million of input: gpt-4o 2.50 (priority 4.25), gpt-4o-mini 0.15, gpt-5 1.25, o3 10.00
# until 2025-06-09 and 2.00 since.
TOOLS = (
    "web search tool calls",
    "Web Search Preview Tool Calls",
    "file search",
    "assistants api | file search",
    "File search tool calls",
    "Vector storage",
    "assistants api | vector storage",
    "vector store storage",
    "code interpreter sessions",
    "assistants api | code interpreter",
    "Image models",
    "image generation",
    "containers",
    "computer use",
)

Rows = list[dict[str, Any]]


def bill(model: str, project: str, amount: str, tokens: int | None, **more: Any) -> dict[str, Any]:
    quantity = None if tokens is None else Decimal(tokens)
    line = {"line_item": f"{model}, input", "quantity": quantity, "quantity_unit": "tokens"}
    return cost(amount, project, **(line | more))


# project: what was billed, what was used (of gpt-4o, or as named), status, reason and parts
CASES: dict[str, tuple[Rows, dict[str, int], str, str | None, dict[str, str]]] = {
    "agreed": (
        [bill(GPT_4O, "agreed", "100", 40 * MILLION)],
        {GPT_4O: 40 * MILLION},
        "matched",
        None,
        {},
    ),
    # 4.9 % and 5.1 % of 100 are 1.96 and 2.04 million tokens
    "within": (
        [bill(GPT_4O, "within", "100", 40 * MILLION)],
        {GPT_4O: 38_040_000},
        *("matched", "unexplained", {"unexplained": "4.9"}),
    ),
    "outside": (
        [bill(GPT_4O, "outside", "100", 40 * MILLION)],
        {GPT_4O: 37_960_000},
        *("discrepancy", "unexplained", {"unexplained": "5.1"}),
    ),
    "tiny": (
        [bill(GPT_4O, "tiny", "0.01", 4_000)],
        {},
        *("matched", "unexplained", {"unexplained": "0.01"}),
    ),
    "small": (
        [bill(GPT_4O, "small", "0.0125", 5_000)],
        {},
        *("discrepancy", "unexplained", {"unexplained": "0.0125"}),
    ),
    "unknown-form": (
        [cost("1", "unknown-form", line_item=f"{GPT_4O}, reasoning")],
        {},
        *("discrepancy", "unexplained", {"unexplained": "1"}),
    ),
    "no-text": (
        [cost("-1", "no-text", line_item=None)],
        {},
        *("discrepancy", "unexplained", {"unexplained": "-1"}),
    ),
    # The bill does not say how much, so that nothing ties it to what was used.
    "no-quantity": (
        [bill(GPT_4O, "no-quantity", "3.5", None)],
        {GPT_4O: MILLION},
        *("discrepancy", "unexplained", {"unexplained": "1"}),
    ),
    "other-unit": (
        [bill(GPT_4O, "other-unit", "2.5", 1_000, quantity_unit="1000_tokens")],
        {GPT_4O: MILLION},
        *("matched", None, {}),
    ),
    "tool": (
        [cost("1", "tool", line_item="Vector storage"), bill(GPT_4O, "tool", "2.5", MILLION)],
        {GPT_4O: MILLION},
        *("explained", "non_token_cost", {"non_token_cost": "1"}),
    ),
    # Their endpoints count seconds and characters alone.
    "told-otherwise": (
        [
            bill("gpt-4o-transcribe", "told-otherwise", "2.5", MILLION),
            bill("gpt-4o-mini-tts", "told-otherwise", "0.6", MILLION),
        ],
        {},
        *("explained", "non_token_cost", {"non_token_cost": "3.1"}),
    ),
    # Known by their names, with or without a surface.
    "tools": (
        [cost("1", "tools", line_item=name) for name in TOOLS],
        {},
        *("explained", "non_token_cost", {"non_token_cost": f"{len(TOOLS)}"}),
    ),
    "unpriced": (
        [bill("gpt-9", "unpriced", "1", MILLION)],
        {"gpt-9": MILLION},
        *("explained", "unpriced_model", {"unpriced_cost": "1"}),
    ),
    # Two rows of one line item: a part of it cost nothing.
    "partly-free": (
        [bill(GPT_4O, "partly-free", "2.5", MILLION), bill(GPT_4O, "partly-free", "0", MILLION)],
        {GPT_4O: 2 * MILLION},
        *("explained", "complimentary_tokens", {"quantity_difference": "-2.5"}),
    ),
    # The same at half the price, which is the batch rate, though the text does not say so.
    "two-rates": (
        [bill(GPT_4O, "two-rates", "2.5", MILLION), bill(GPT_4O, "two-rates", "1.25", MILLION)],
        {GPT_4O: 2 * MILLION},
        *("explained", "batch_rate", {"rate_difference": "-1.25"}),
    ),
    # A rate of its own, but of o3.
    "foreign-rate": (
        [bill(GPT_4O, "foreign-rate", "2", MILLION)],
        {GPT_4O: MILLION},
        *("discrepancy", "unexplained", {"unexplained": "-0.5"}),
    ),
    # What was charged was taken back, with its tokens.
    "refunded": (
        [bill(GPT_4O, "refunded", "2.5", MILLION), bill(GPT_4O, "refunded", "-2.5", -MILLION)],
        {},
        *("matched", None, {}),
    ),
    # Too much by one key and too little by another: two errors of 7.5, and no agreement.
    "opposite-rates": (
        [
            bill(GPT_4O, "opposite-rates", "10", MILLION, api_key_id="key_1"),
            bill(GPT_4O, "opposite-rates", "-5", MILLION, api_key_id="key_2"),
            cost("3", "opposite-rates", line_item="Vector storage"),
        ],
        {GPT_4O: 2 * MILLION},
        *("discrepancy", "unexplained", {"non_token_cost": "3"}),
    ),
    # Two million tokens of it a day were declared free, for all projects together.
    "declared": (
        [],
        {MINI: 1_900_000},
        *("explained", "complimentary_tokens", {"quantity_difference": "-0.285"}),
    ),
    "declared-too-little": (
        [],
        {MINI: 1_100_000},
        *("discrepancy", "unexplained"),
        {"quantity_difference": "-0.015", "unexplained": "-0.15"},
    ),
    "free-by-list": (
        [
            bill(MODERATION, "free-by-list", "0", MILLION),
            bill(GPT_4O, "free-by-list", "2.5", MILLION),
        ],
        {GPT_4O: MILLION},
        *("matched", None, {}),
    ),
    "opposites": (
        # Equal and opposite within a day are no explanation of each other.
        [bill(GPT_4O, "opposites", "10", 4 * MILLION)],
        {GPT_5: 8 * MILLION},
        *("matched", "unexplained", {}),
    ),
    "euro": (
        [bill(GPT_4O, "euro", "2.5", MILLION, currency="EUR")],
        {},
        *("not_comparable", None, {}),
    ),
}
RECONCILIATION = ("--select", "+fct_reconciliation")
PARTS = ("non_token_cost", "unpriced_cost", "rate_difference", "quantity_difference", "unexplained")


def usage_of(project: str, quantities: dict[str, int]) -> Rows:
    return [used(model, project, input_tokens=tokens) for model, tokens in quantities.items()]


@pytest.fixture(scope="module")
def warehouse(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 4, 1))
    warehouse.price(GPT_4O, GPT_5, O3, MINI, MODERATION, "gpt-9", "tts-1")
    warehouse.tables["complimentary_tokens"] = [
        {"declaration_number": 1, "organization_id": "org-1", "price_model": "gpt-4o-mini"}
        | {"tokens_a_day": 2 * MILLION, "valid_from": DAY}
    ]
    # From the 16th on a fifth less was agreed for gpt-5.
    warehouse.tables["model_prices"] += [
        row | {"source": "override", "valid_from": DAY, "unit_price": row["unit_price"] * 4 / 5}
        for row in listed_prices().prices().to_pylist()
        if (row["price_model"], row["service_tier"], row["context"])
        == ("gpt-5", "standard", "standard")
    ]
    warehouse.team("one", "key")
    for project in (*CASES, "o3", "override", "moved", "broken-off"):
        warehouse.project(project, ("one", None, None))
    for day, million in ((O3_BEFORE, "10"), (O3_AFTER, "2")):
        read(
            warehouse,
            day,
            [bill(O3, "o3", million, MILLION)],
            usage_of("o3", {O3: MILLION}),
        )
    for day in (BEFORE, DAY):
        billed = [row for case in CASES.values() if day == DAY for row in case[0]]
        usage = [
            row
            for project, case in CASES.items()
            if day == DAY
            for row in usage_of(project, case[1])
        ]
        billed.append(bill(GPT_5, "override", "1", MILLION))
        usage += usage_of("override", {GPT_5: MILLION})
        # Billed on one day, used on the next.
        if day == BEFORE:
            billed.append(bill(GPT_4O, "moved", "5", 2 * MILLION))
        else:
            usage += usage_of("moved", {GPT_4O: 2 * MILLION})
        read(warehouse, day, billed, usage)
    warehouse.team("two")
    warehouse.project("crumbs", ("two", None, None))
    for day in CRUMBS:
        rows = [bill(GPT_4O, "crumbs", "0.01", 4_000)]
        read(warehouse, day, rows, usage_of("crumbs", {GPT_4O: 1_000}))
    speech = {"line_item": "tts-1, input", "quantity": Decimal(MILLION)}
    speech["quantity_unit"] = "characters"
    read(
        warehouse,
        BROKEN_OFF,
        [cost("15", "broken-off", **speech)],
        [],
        endpoints=MODEL_ENDPOINTS[:4],
    )
    return warehouse


def read(
    warehouse: Warehouse,
    day: date,
    billed: Rows,
    usage: Rows,
    *,
    endpoints: Sequence[str] = MODEL_ENDPOINTS,
) -> None:
    when = at(day, days=5)
    warehouse.read("one", day, billed, when, key="key", organization_id="org-1")
    for endpoint in endpoints:
        rows = usage if endpoint == "completions" else []
        warehouse.read("one", day, rows, when, key="key", endpoint=endpoint)


@pytest.fixture(scope="module")
def marts(warehouse: Warehouse) -> Marts:
    return warehouse.build()


def reconciled(marts: Marts, project: str, day: date = DAY) -> tuple[Any, ...]:
    (row,) = marts.query(
        f"select status, reason, {', '.join(PARTS)} from fct_reconciliation"
        f" where project_id = '{project}' and cost_date = '{day}'"
    )
    named = {part: amount for part, amount in zip(PARTS, row[2:], strict=True) if amount}
    return row[0], row[1], named


@pytest.mark.parametrize("project", CASES)
def test_a_rule(marts: Marts, project: str) -> None:
    _, _, status, reason, parts = CASES[project]
    expected = {part: Decimal(amount) for part, amount in parts.items()}
    assert reconciled(marts, project) == (status, reason, expected)


def test_a_price_applies_from_its_day_on(marts: Marts) -> None:
    for day in (O3_BEFORE, O3_AFTER):
        assert reconciled(marts, "o3", day) == ("matched", None, {})


def test_an_agreed_rate_explains_from_its_day_on(marts: Marts) -> None:
    quarter = Decimal("-0.25")
    assert reconciled(marts, "override", BEFORE) == (
        *("discrepancy", "unexplained"),
        {"unexplained": quarter},
    )
    assert reconciled(marts, "override") == (
        "explained",
        "override_rate",
        {"rate_difference": quarter},
    )


def test_what_moved_across_midnight_explains_both_days(marts: Marts) -> None:
    for day, amount in ((BEFORE, "5"), (DAY, "-5")):
        assert reconciled(marts, "moved", day) == (
            *("explained", "moved_across_midnight"),
            {"quantity_difference": Decimal(amount)},
        )


def test_what_was_not_asked_yet_is_no_silence(marts: Marts) -> None:
    """A collection broke off between two endpoints of a day that is long over."""
    status, _, parts = reconciled(marts, "broken-off", BROKEN_OFF)
    assert (status, parts) == ("pending", {"unexplained": Decimal(15)})


def test_the_migration_waits_for_seven_days_and_names_what_is_wrong(marts: Marts) -> None:
    rows = marts.query(
        "select day_number, status, verdict, verdict_reason, discrepancies"
        " from rpt_migration_readiness where team_id = 'one' order by day_number"
    )
    assert [(number, status) for number, status, *_ in rows] == [
        (1, "matched"),
        (2, "matched"),
        (3, "discrepancy"),
        (4, "discrepancy"),
    ]
    assert {verdict for _, _, verdict, *_ in rows} == {"no_go"}
    assert rows[0][3] == "2 of the first 4 settled days have differences that nothing explains"
    # Line by line: what one has too much does not make up for what another lacks.
    assert rows[3][4][:3] == [
        "opposite-rates (proj_opposite-rates): 15.000000 USD",
        "no-quantity (proj_no-quantity): 6.000000 USD",
        "outside (proj_outside): 5.100000 USD",
    ]


def test_tiny_amounts_never_alert_however_many(marts: Marts) -> None:
    for day in CRUMBS:
        assert reconciled(marts, "crumbs", day) == (
            *("matched", "unexplained"),
            {"unexplained": Decimal("0.0075")},
        )
    with duckdb.connect(str(marts.path.with_name("warehouse.duckdb"))) as connection:
        months = connection.execute(
            "select team_id, month from checks.team_months_within_tolerance"
        ).fetchall()
    assert months == [("one", date(2026, 3, 1))]


def test_it_follows_what_changed(warehouse: Warehouse, marts: Marts) -> None:
    assert reconciled(marts, "moved", BEFORE)[0] == "explained"
    # Only the later day's usage is read again, and so the earlier one is explained no more.
    rows = usage_of("within", {GPT_4O: 38_040_000}) + usage_of("override", {GPT_5: MILLION})
    rows += usage_of("declared", {MINI: 1_900_000})
    warehouse.read("one", DAY, rows, at(DAY, days=6), key="key", endpoint="completions")
    # Other prices change what was not read at all.
    for row in warehouse.tables["model_prices"]:
        if row["source"] == "override":
            row["valid_from"] = BEFORE
        elif (row["price_model"], row["service_tier"]) == ("o3", "standard"):
            row["unit_price"] *= 2
    followed = warehouse.run(*RECONCILIATION)
    assert reconciled(followed, "moved", BEFORE)[:2] == ("discrepancy", "unexplained")
    # What was read six days later is another content: it has to rest again.
    assert reconciled(followed, "within")[0] == "pending"
    assert reconciled(followed, "override", BEFORE)[:2] == ("explained", "override_rate")
    assert reconciled(followed, "o3", O3_AFTER)[2] == {"unexplained": Decimal(-2)}

    warehouse.settings(date(2026, 4, 1), tolerance=Decimal("0.04"))
    warehouse.read("one", DAY, rows, at(DAY, days=9), key="key", endpoint="completions")
    warehouse.tables["complimentary_tokens"][0]["tokens_a_day"] = MILLION
    followed = warehouse.run(*RECONCILIATION)
    assert reconciled(followed, "within")[0] == "discrepancy"
    assert reconciled(followed, "declared")[2] == {
        "quantity_difference": Decimal("-0.15"),
        "unexplained": Decimal("-0.135"),
    }
    tables = followed.tables()
    anew = warehouse.build_anew(*RECONCILIATION).tables()
    assert "main.fct_reconciliation_parts" in anew
    for table, expected in anew.items():
        assert sorted(tables[table], key=repr) == sorted(expected, key=repr), table
