"""Whose a request is, what it claims of a bill, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost, used

SUNDAY, MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (1, 2, 3, 4))
LANDED = at(date(2026, 3, 20))
GPT = "gpt-4o-2024-08-06"
MINI = "gpt-5-mini-2025-08-07"
FINE_TUNED = "ft:gpt-4o-mini-2024-07-18:acme:helpdesk:9xKq2mLr"


def line(
    amount: str, project: str, item: str, tokens: int | None = None, **more: Any
) -> dict[str, Any]:
    quantity = None if tokens is None else Decimal(tokens)
    unit = None if tokens is None else "tokens"
    return cost(amount, project, line_item=item, quantity=quantity, quantity_unit=unit, **more)


class Log:
    """Requests as they land, by default of the first project, on Sunday."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._load_id = warehouse.load()
        self._lines = 0

    def new_load(self, *, complete: bool = True) -> None:
        self._load_id = self._warehouse.load(complete=complete)

    def add(
        self,
        request_id: str,
        project: str | None = "a",
        tokens: int = 1_000,
        day: date = SUNDAY,
        **more: Any,
    ) -> None:
        self._lines += 1
        facts = {
            "file_id": "file",
            "line_number": self._lines,
            "landed_at": LANDED,
            "cost_date": day,
            "request_id": request_id,
            "requested_at": at(day, 9),
            "openai_project_id": None if project is None else f"proj_{project}",
            "model": GPT,
            "input_tokens": tokens,
            "_dlt_load_id": self._load_id,
        }
        rest = ("input_cached_tokens", "input_audio_tokens", "output_tokens", "output_audio_tokens")
        self._warehouse.add("requests", facts | dict.fromkeys(rest, 0), more)


BILLS = {
    # gpt-4o is 2.50 USD for a million of input, gpt-5-mini 0.25, of which flex is half.
    SUNDAY: [
        line("0.005", "a", f"{GPT}, input", 2_000),
        line("-0.01", "credit", f"{GPT}, input"),
        line("7", "unpriced", "gpt-9, input", 1_000),
        line("0.0025", "keyed", f"{GPT}, input", 1_000, api_key_id="key_1"),
        line("0.005", "keyed", f"{GPT}, input", 2_000, api_key_id="key_2"),
        line("0.0025", "alias", f"{GPT}, input", 1_000),
        line("0.0003", "tuned", "ft-gpt-4o-mini-2024-07-18, input", 1_000),
        line("0.0005", "tiers", f"{MINI}, input", 2_000),
        line("0.000125", "tiers", f"flex | {MINI}, input", 1_000),
        line("0.0025", "batched", f"{GPT}, input", 1_000),
        line("0.00125", "batched", f"batch | {GPT}, input", 1_000),
        line("0.0025", "unitless", f"{GPT}, input", 1_000) | {"quantity_unit": None},
        line("0.0025", "money", f"{GPT}, input", 1_000),
        line("9", "money", f"{GPT}, input", 1_000, currency="EUR"),
        line("0.1", "free", f"{MINI}, output", 0),
        line("0.3", "heard", "whisper-1, input", 1_000) | {"quantity_unit": "seconds"},
        cost("3", line_item="Vector storage"),
    ],
    MONDAY: [line("0.003", "a", f"{GPT}, input", 1_000), line("1", "b", f"{GPT}, input", 1)],
    TUESDAY: [line("0.0025", "a", f"{GPT}, input", 1_000)],
}


@pytest.fixture(scope="module")
def company(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 4, 1))
    warehouse.price(GPT, MINI, FINE_TUNED, "ft-gpt-4o-mini-2024-07-18", "gpt-4o", "gpt-9")
    warehouse.team("one", "key-1")
    warehouse.team("two", "key-2")
    warehouse.team("three", "key-3")
    warehouse.project("a", ("one", None, MONDAY), ("two", MONDAY, None))
    warehouse.project("new", ("one", None, None))
    for day, bill in BILLS.items():
        late = 0 if day == TUESDAY else 5
        when = at(day, 12, days=1 + late)
        warehouse.read("one", day, bill, when, key="key-1", organization_id="org-1")
        seen = [used(GPT, "a", input_tokens=1_000, api_key_id="key_a")]
        warehouse.read("one", day, seen, when, key="key-1", endpoint="completions")
        euros = [line("0.002", "euro", f"{GPT}, input", 1_000, currency="EUR")]
        warehouse.read("two", day, euros, when, key="key-2", organization_id="org-2")
        silent = [line("5", "silent", f"{GPT}, input", 1_000)]
        warehouse.read("three", day, silent, when, key="key-3", organization_id="org-3")

    log = Log(warehouse)
    log.add("half")
    log.add("empty", tokens=0)
    log.add("credited", "credit", 400)
    log.add("credited too", "credit", 600)
    log.add("unpriced", "unpriced", model="gpt-9")
    log.add("of key 1", "keyed", 1_000, api_key_id="key_1")
    log.add("of no key", "keyed", 1_000)
    log.add("by alias", "alias", model="GPT-4o")
    log.add("tuned", "tuned", model=FINE_TUNED)
    log.add("standard", "tiers", 2_000, model=MINI, service_tier="default", is_batch=False)
    log.add("unnamed", "tiers", 600, model=MINI)
    log.add("scale", "tiers", 500, model=MINI, service_tier="scale")
    log.add("not batched", "batched", is_batch=False)
    log.add("half of it", "unitless", 500)
    log.add("dollars", "money")
    log.add("free", "free", 0, model=MINI, output_tokens=5)
    log.add("heard", "heard", model="whisper-1")
    log.add("by key alone", None, day=MONDAY, api_key_id="key_a")
    log.add("of nobody", None, api_key_id="key_unknown")
    log.add("of a stranger", "stranger")
    log.add("of a new one", "new")
    log.add("in euros", "euro")
    log.add("too early", day=TUESDAY)
    log.add("not read", day=WEDNESDAY)
    log.add("told twice")
    log.new_load()
    log.add("told twice", tokens=5, day=TUESDAY, landed_at=at(date(2026, 3, 21)))
    log.new_load(complete=False)
    log.add("half a load")
    return warehouse


@pytest.fixture(scope="module")
def marts(company: Warehouse) -> Marts:
    return company.run("--select", "+fct_request_costs")


COLUMNS = "calculated_cost, billed_cost, currency, reconciliation_status"


@pytest.mark.parametrize(
    ("request_id", "expected"),
    [
        # Half of 2,000 tokens; the other half is of the request that was told twice.
        ("half", ("0.0025", "0.0025", "USD", "matched")),
        ("told twice", ("0.0025", "0.0025", "USD", "matched")),
        ("empty", ("0", "0", "USD", "matched")),
        # A credit without a quantity, by tokens.
        ("credited", ("0.001", "-0.004", "USD", "discrepancy")),
        ("credited too", ("0.0015", "-0.006", "USD", "discrepancy")),
        # What cannot be calculated cannot be matched.
        ("unpriced", (None, "7", "USD", "discrepancy")),
        ("of key 1", ("0.0025", "0.0025", "USD", "matched")),
        # Nothing is left of the line of key 1.
        ("of no key", ("0.0025", "0.0025", "USD", "matched")),
        ("by alias", ("0.0025", "0.0025", "USD", "matched")),
        ("tuned", ("0.0003", "0.0003", "USD", "matched")),
        ("standard", ("0.0005", "0.0005", "USD", "matched")),
        # At the ordinary price, billed as flex, where alone there was room.
        ("unnamed", ("0.00015", "0.000075", "USD", "discrepancy")),
        # A tier that is paid for in advance has no line and no price.
        ("scale", (None, "0", None, "unbilled")),
        # Its tier is open, and yet no line of a batch is its own.
        ("not batched", ("0.0025", "0.0025", "USD", "matched")),
        # A quantity without a unit is of tokens.
        ("half of it", ("0.00125", "0.00125", "USD", "matched")),
        ("dollars", ("0.0025", "0.0025", "USD", "matched")),
        # An amount for no quantity goes to whoever claims its kind.
        ("free", ("0.00001", "0.1", "USD", "discrepancy")),
        ("heard", (None, "0", None, "unbilled")),
        ("by key alone", ("0.0025", "0.003", "USD", "discrepancy")),
        ("of nobody", ("0.0025", None, "USD", "pending")),
        ("of a stranger", ("0.0025", None, "USD", "pending")),
        ("of a new one", ("0.0025", "0", "USD", "unbilled")),
        ("in euros", (None, "0.002", "EUR", "discrepancy")),
        # Shares of a bill that may still change.
        ("too early", ("0.0025", "0.0025", "USD", "pending")),
        ("not read", ("0.0025", None, "USD", "pending")),
    ],
)
def test_what_becomes_of_a_request(
    marts: Marts, request_id: str, expected: tuple[str | None, ...]
) -> None:
    ((calculated, billed, currency, status),) = marts.query(
        f"select {COLUMNS} from fct_request_costs where request_id = '{request_id}'"
    )
    amounts = tuple(None if text is None else Decimal(text) for text in expected[:2])
    assert (calculated, billed, currency, status) == (*amounts, *expected[2:])


@pytest.mark.parametrize(
    ("request_id", "expected"),
    [
        ("half", ("org-1", "one", "a", "proj_a")),
        ("too early", ("org-1", "two", "a", "proj_a")),
        ("by key alone", ("org-1", "two", "a", "proj_a")),
        ("of nobody", (None, "unallocated", "unallocated", None)),
        ("of a stranger", (None, "unallocated", "unallocated", "proj_stranger")),
        ("of a new one", ("org-1", "one", "new", "proj_new")),
        ("in euros", ("org-2", "unallocated", "unallocated", "proj_euro")),
    ],
)
def test_whose_a_request_is(
    marts: Marts, request_id: str, expected: tuple[str | None, ...]
) -> None:
    assert marts.query(
        "select organization_id, team_id, project_id, openai_project_id from fct_request_costs"
        f" where request_id = '{request_id}'"
    ) == [expected]


def test_a_request_counts_once_and_half_a_load_never(company: Warehouse, marts: Marts) -> None:
    told = [row["request_id"] for row in company.tables["requests"]]
    counted = marts.query(
        "select request_id, cost_date from fct_request_costs where request_id > ''"
    )
    assert sorted(name for name, _ in counted) == sorted(set(told) - {"half a load"})
    assert dict(counted)["told twice"] == SUNDAY


def test_what_nobody_claims_is_unexplained(marts: Marts) -> None:
    rest = marts.query(
        "select openai_project_id, billed_model, currency, billed_cost, input_cost"
        f" from fct_request_costs where cost_date = '{SUNDAY}' and request_id is null"
        " and organization_id = 'org-1'"
    )
    found = {(project, model, currency): amounts for project, model, currency, *amounts in rest}
    assert found == {
        # Of key 2 1,000 tokens are left, of the flex line 400.
        ("proj_keyed", GPT, "USD"): [Decimal("0.0025")] * 2,
        ("proj_tiers", MINI, "USD"): [Decimal("0.00005")] * 2,
        ("proj_batched", GPT, "USD"): [Decimal("0.00125")] * 2,
        ("proj_unitless", GPT, "USD"): [Decimal("0.00125")] * 2,
        ("proj_money", GPT, "EUR"): [Decimal(9)] * 2,
        ("proj_heard", "whisper-1", "USD"): [Decimal("0.3")] * 2,
        (None, None, "USD"): [Decimal(3), Decimal(0)],
    }


def test_an_organization_without_logs_has_no_rows(marts: Marts) -> None:
    assert marts.query(
        "select organization_id, min(cost_date), max(cost_date) from fct_request_costs"
        " where request_id is null and organization_id != 'org-1' group by all"
    ) == [("org-2", MONDAY, TUESDAY)]


def test_reconciled_is_when_the_bill_was_settled(marts: Marts) -> None:
    times: list[tuple[date, datetime | None]] = marts.query(
        "select distinct cost_date, reconciled_at from fct_request_costs"
        " where organization_id = 'org-1' order by all"
    )
    assert times == [
        (SUNDAY, at(SUNDAY, 12, days=6)),
        (MONDAY, at(MONDAY, 12, days=6)),
        (TUESDAY, None),
        (WEDNESDAY, None),
    ]
