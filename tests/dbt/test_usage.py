"""Usage as facts, what it is worth, and which source the daily marts show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import MODEL_ENDPOINTS, Marts, Warehouse, at, cost, used

SUNDAY, MONDAY = date(2026, 3, 1), date(2026, 3, 2)
FINE_TUNED = "ft:gpt-4o-mini-2024-07-18:acme:helpdesk:9xKq2mLr"
MODELS = ("gpt-4o-2024-08-06", "gpt-5-2025-08-07", "gpt-5-mini-2025-08-07", "o3-2025-04-16")
AUDIO = "gpt-4o-audio-preview-2024-12-17"

USED = {
    # OpenAI's list in USD a million, as input / cached input / output:
    # gpt-4o 2.50 / 1.25 / 10.00; gpt-5 1.25 / 0.125 / 10.00; gpt-5-mini 0.25 / 0.025 / 2.00
    "completions": [
        used("gpt-4o-2024-08-06", "a", input_tokens=10_000, input_cached_tokens=4_000)
        | {"output_tokens": Decimal(2_000), "num_model_requests": Decimal(3), "user_id": "u_1"},
        used("gpt-5-2025-08-07", "a", input_tokens=8_000, output_tokens=1_000, batch=True),
        used("gpt-5-mini-2025-08-07", "a", input_tokens=1_000_000, service_tier="flex"),
        used("o3-2025-04-16", "a", input_tokens=500_000, service_tier="scale"),
        used(FINE_TUNED, "a", output_tokens=1_000_000),
        used("gpt-9", "a", input_tokens=77),
        used(AUDIO, "b", input_tokens=1_000, input_cached_tokens=100, output_tokens=90)
        | {"input_audio_tokens": Decimal(300), "output_audio_tokens": Decimal(60)},
        used("gpt-5.4-2026-03-05", "b", input_tokens=1_000, input_uncached_tokens=600)
        | {"input_cached_tokens": Decimal(300), "input_cache_write_tokens": Decimal(100)},
        used("gpt-4o-2024-08-06", "c", input_tokens=100, input_cached_tokens=130),
    ],
    "embeddings": [used("text-embedding-3-small", None, input_tokens=50_000)],
    "audio_transcriptions": [used("whisper-1", "b", seconds=90)],
    "images": [used("dall-e-3", "b", images=4)],
    "file_search_calls": [used(None, "b", num_requests=5)],
}


@pytest.fixture(scope="module")
def company(new_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """Two organizations: one with both sources, and one whose costs are never answered."""
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 4, 1))
    warehouse.price(*MODELS, FINE_TUNED, AUDIO, "gpt-9", "gpt-5.4-2026-03-05", "dall-e-3")
    names = warehouse.tables["model_names"]
    warehouse.price("text-embedding-3-small", "whisper-1")
    warehouse.tables["model_names"] += names
    warehouse.team("one", "key-1", "key-2")
    warehouse.project("a", ("one", None, MONDAY), ("two", MONDAY, None))
    warehouse.project("b", ("one", None, None))
    warehouse.project("out", ("one", None, None))
    warehouse.team("two")
    for day in (SUNDAY, MONDAY):
        when = at(day, days=5)
        warehouse.read(
            "one", day, [cost("7", "a"), cost("0.5")], when, key="key-1", organization_id="org-1"
        )
        for endpoint in {*MODEL_ENDPOINTS, *USED}:
            rows = USED.get(endpoint, [])
            warehouse.read("one", day, rows, when, key="key-1", endpoint=endpoint)
        rows = [used("gpt-4o-2024-08-06", "out", input_tokens=1_000_000)]
        warehouse.read(
            "one", day, rows, when, key="key-2", endpoint="completions", organization_id="org-2"
        )
        for endpoint in set(MODEL_ENDPOINTS) - {"completions", "embeddings"}:
            warehouse.read("one", day, [], when, key="key-2", endpoint=endpoint)
        warehouse.fail("one", day, when, "gone", key_fingerprint="key-2")
        warehouse.fail(
            *("one", day, when, "no such endpoint"),
            status="unsupported",
            key_fingerprint="key-2",
            endpoint="embeddings",
        )
    return warehouse


@pytest.fixture(scope="module")
def marts(company: Warehouse) -> Marts:
    return company.build()


def quantities(marts: Marts, model: str, project: str) -> dict[str, tuple[Any, ...]]:
    rows = marts.query(
        "select measure, quantity, list_cost, request_count from fct_usage where"
        f" model = '{model}' and openai_project_id = 'proj_{project}' and cost_date = '{SUNDAY}'"
        " and organization_id = 'org-1'"
    )
    return {measure: tuple(rest) for measure, *rest in rows}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # 6,000 x 2.50 + 4,000 x 1.25 + 2,000 x 10.00 millionths = 0.015 + 0.005 + 0.02
        ("gpt-4o-2024-08-06", "0.04"),
        # 8,000 x 1.25 + 1,000 x 10.00 millionths = 0.01 + 0.01; a batch is at list price here
        ("gpt-5-2025-08-07", "0.02"),
        ("gpt-5-mini-2025-08-07", "0.25"),  # 1,000,000 x 0.25 millionths
        (FINE_TUNED, "1.2"),  # 1,000,000 x 1.20 millionths
    ],
)
def test_usage_is_worth_what_the_list_says(marts: Marts, model: str, expected: str) -> None:
    worth = [list_cost for _, list_cost, _ in quantities(marts, model, "a").values()]
    assert sum(worth) == Decimal(expected)


def test_every_token_is_in_one_measure(marts: Marts) -> None:
    def counted(model: str, project: str) -> dict[str, int]:
        found = quantities(marts, model, project)
        return {measure: int(quantity) for measure, (quantity, *_) in found.items()}

    assert counted("gpt-4o-2024-08-06", "a") == {
        "input_uncached_tokens": 6_000,
        "input_cached_tokens": 4_000,
        "output_tokens": 2_000,
    }
    # An old row: 1,000 of input, of which 100 were cached and 300 were sound.
    assert counted(AUDIO, "b") == {
        "input_uncached_tokens": 600,
        "input_cached_tokens": 100,
        "input_audio_tokens": 300,
        "output_tokens": 30,
        "output_audio_tokens": 60,
    }
    assert counted("gpt-5.4-2026-03-05", "b") == {
        "input_uncached_tokens": 600,
        "input_cached_tokens": 300,
        "input_cache_write_tokens": 100,
    }
    # More from the cache than there was: the part is kept, and nothing is left.
    assert counted("gpt-4o-2024-08-06", "c") == {"input_cached_tokens": 130}
    assert counted("whisper-1", "b") == {"seconds": 90}


def test_without_a_price_there_is_no_cost_never_zero(marts: Marts) -> None:
    unpriced = (
        "select distinct endpoint, model, service_tier from fct_usage where list_cost is null"
    )
    assert sorted(marts.query(unpriced), key=repr) == sorted(
        [
            ("completions", "gpt-9", None),
            ("completions", AUDIO, None),  # of its input, the list has no price from the cache
            ("completions", "gpt-5.4-2026-03-05", None),  # nor of this one's into the cache
            ("completions", "o3-2025-04-16", "scale"),  # paid for in advance
            ("file_search_calls", None, None),
            ("images", "dall-e-3", None),
        ],
        key=repr,
    )
    assert marts.query("select count(*) from fct_usage where list_cost = 0") == [(0,)]


def test_usage_is_attributed_like_costs_and_knows_its_requests(marts: Marts) -> None:
    rows = marts.query(
        "select distinct cost_date, team_id, user_id, request_count from fct_usage"
        " where model = 'gpt-4o-2024-08-06' and openai_project_id = 'proj_a' order by all"
    )
    assert rows == [(SUNDAY, "one", "u_1", Decimal(3)), (MONDAY, "two", "u_1", Decimal(3))]
    assert marts.query(
        "select distinct project_id from fct_usage where openai_project_id is null"
    ) == [("unallocated",)]


def test_usage_becomes_the_rows_of_a_bill(marts: Marts) -> None:
    labels = marts.query(
        "select line_item, surface, model, modality, token_kind, quantity, quantity_unit, cost"
        f" from fct_costs where api_version = 'usage_v1' and cost_date = '{SUNDAY}'"
        " and organization_id = 'org-1'"
    )
    found = {row[0]: row[1:] for row in labels}
    tuned, audio = "ft-gpt-4o-mini-2024-07-18", AUDIO
    expected = {
        "gpt-4o-2024-08-06, cached input": (None, "cached_input", "tokens"),
        "batch | gpt-5-2025-08-07, output": ("batch", "output", "tokens"),
        "flex | gpt-5-mini-2025-08-07, input": ("flex", "input", "tokens"),
        f"{tuned}, output": (None, "output", "tokens"),
        f"{audio} audio, input": (None, "input", "tokens"),
        "whisper-1, input": (None, "input", "duration_seconds"),
        "text-embedding-3-small, input": (None, "input", "tokens"),
    }
    for label, (surface, kind, unit) in expected.items():
        assert (found[label][0], found[label][3], found[label][5]) == (surface, kind, unit), label
    assert found[f"{tuned}, output"][1] == tuned
    assert found[f"{audio} audio, input"][2] == "audio"
    assert found["whisper-1, input"][4:] == (Decimal(90), "duration_seconds", Decimal("0.009"))
    assert not [label for label in found if "gpt-9" in label or "dall-e" in label or "o3" in label]


def test_where_costs_are_out_usage_is_reported(marts: Marts) -> None:
    reported = marts.query(
        "select organization_id, api_version, sum(cost) from fct_costs where is_reported"
        f" and cost_date = '{SUNDAY}' group by all order by all"
    )
    assert reported == [
        ("org-1", "costs_v1", Decimal("7.5")),
        ("org-2", "usage_v1", Decimal("2.5")),
    ]
    team = (
        f"select team_id, cost, cost_source from fct_team_daily_costs where cost_date = '{SUNDAY}'"
    )
    assert sorted(marts.query(team)) == [
        ("one", Decimal("9.5"), "mixed"),
        ("unallocated", Decimal("0.5"), "costs_v1"),
    ]
    # Such a day is complete.
    assert marts.query("select newest_complete_date from rpt_build") == [(MONDAY,)]


def test_the_source_there_and_back(company: Warehouse, marts: Marts) -> None:
    before = marts.tables()
    collected = len(company.tables["collections"])
    company.settings(date(2026, 4, 1), cost_source="usage_v1")
    switched = company.run()
    sources = "select distinct cost_source from fct_team_daily_costs"
    assert switched.query(sources) == [("usage_v1",)]
    sums = "select sum(cost) from {} where {}"
    usage_sum = switched.query(sums.format("fct_costs", "api_version = 'usage_v1'"))
    for table in ("fct_team_daily_costs", "fct_project_daily_costs"):
        assert switched.query(sums.format(table, "true")) == usage_sum
    assert {row[0] for row in switched.query("select cost_source from rpt_build")} == {"usage_v1"}

    company.settings(date(2026, 4, 1))
    after = company.run().tables()
    assert len(company.tables["collections"]) == collected
    assert after.keys() == before.keys()
    for table, rows in before.items():
        assert sorted(after[table], key=repr) == sorted(rows, key=repr), table
