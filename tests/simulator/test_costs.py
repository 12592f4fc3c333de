"""The rules of the costs endpoint."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

DAY = date(2026, 3, 10)


def test_a_bucket_is_a_utc_day_with_the_documented_shape(unchanging: Any) -> None:
    [bucket] = unchanging.buckets(DAY, DAY + timedelta(days=1))
    assert bucket["object"] == "bucket"
    assert bucket["start_time"] == unchanging.unix(DAY)
    assert bucket["end_time"] == unchanging.unix(DAY) + 86_400
    for row in bucket["results"]:
        assert row["object"] == "organization.costs.result"
        assert set(row["amount"]) == {"value", "currency"}
        assert row["amount"]["currency"] == "usd"


def test_start_is_floored_to_midnight_and_end_is_exclusive(unchanging: Any) -> None:
    noon = unchanging.unix(DAY) + 43_200
    midnight = unchanging.costs(DAY, DAY + timedelta(days=2))
    floored = unchanging.costs(noon, DAY + timedelta(days=2))
    assert floored.json()["data"] == midnight.json()["data"]
    assert len(floored.json()["data"]) == 2


def test_without_end_the_window_reaches_todays_partial_bucket(unchanging: Any) -> None:
    today = unchanging.now.date()
    buckets = unchanging.buckets(today - timedelta(days=7))
    assert [bucket["start_time"] for bucket in buckets][-1] == unchanging.unix(today)
    billed = [sum(row["amount"]["value"] for row in bucket["results"]) for bucket in buckets]
    assert 0 < billed[-1] < billed[-2]


def test_buckets_without_data_are_there_and_empty(unchanging: Any) -> None:
    before = unchanging.start - timedelta(days=3)
    buckets = unchanging.buckets(before, before + timedelta(days=4), group_by=())
    assert [bool(bucket["results"]) for bucket in buckets] == [False, False, False, True]
    assert buckets[0]["results"] == []


def test_the_default_limit_is_seven_buckets(unchanging: Any) -> None:
    assert len(unchanging.costs(DAY).json()["data"]) == 7


@pytest.mark.parametrize("limit", ["0", "181", "-1", "many", "7.0", ""])
def test_a_limit_out_of_range_is_refused(unchanging: Any, limit: str) -> None:
    answer = unchanging.costs(DAY, limit=limit)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "start_time"),
        ({"start": DAY, "end": date(2026, 4, 3)}, "end_time"),
        ({"start": DAY, "end": DAY}, "start_time"),
        ({"start": date(2026, 5, 1)}, "start_time"),
        ({"start": DAY, "bucket_width": "1h"}, "bucket_width"),
        ({"start": DAY, "group_by": ("model",)}, "group_by"),
        ({"start": DAY, "projects": "proj_1"}, "projects"),
        ({"start": 10**13}, "start_time"),
        ({"start": DAY, "page": "page_bm90aGluZw=="}, "page"),
        ({"start": DAY, "page": "é"}, "page"),
    ],
)
def test_wrong_questions_are_refused_with_the_parameter(
    unchanging: Any, asked: dict[str, Any], param: str
) -> None:
    answer = unchanging.costs(**asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_an_end_of_exactly_now_is_no_future(unchanging: Any) -> None:
    now = int(unchanging.now.timestamp())
    assert unchanging.costs(DAY, now).status_code == 200
    assert unchanging.costs(DAY, now + 1).status_code == 400


def test_grouping_by_api_key_needs_a_window_that_starts_late_enough(unchanging: Any) -> None:
    early = unchanging.costs(1764979199)
    assert early.status_code == 400
    assert early.json()["error"]["param"] == "start_time"
    assert unchanging.costs(1764979199, group_by=("project_id", "line_item")).status_code == 200
    assert unchanging.costs(1764979200).status_code == 200


def test_lists_may_be_bracketed_repeated_or_separated_by_commas(unchanging: Any) -> None:
    start = ("start_time", str(unchanging.unix(DAY)))
    spellings = [
        [("group_by[]", "project_id"), ("group_by[]", "line_item")],
        [("group_by", "project_id"), ("group_by", "line_item")],
        [("group_by", "line_item,project_id")],
        [("group_by[]", "project_id,line_item")],
    ]
    answers = [
        unchanging.get("/organization/costs", params=[start, *spelling]) for spelling in spellings
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_filters_leave_other_projects_and_keys_out(unchanging: Any) -> None:
    rows = unchanging.rows(DAY)
    projects = {row["project_id"] for row in rows if row["project_id"]}
    chosen = min(projects)
    of_project = unchanging.rows(DAY, **{"project_ids[]": chosen})
    assert of_project == [row for row in rows if row["project_id"] == chosen]
    key = of_project[0]["api_key_id"]
    assert unchanging.rows(DAY, api_key_ids=key) == [
        row for row in rows if row["api_key_id"] == key
    ]
    assert unchanging.rows(DAY, project_ids="proj_unknown") == []


def test_every_answer_is_dated_by_the_simulators_clock(unchanging: Any) -> None:
    for path in ("/organization/costs", "/organization/projects", "/nothing"):
        dates = unchanging.get(path).headers.get_list("date")
        assert [parsedate_to_datetime(each) for each in dates] == [unchanging.now]


def test_an_unset_clock_runs_with_real_time(company: Any) -> None:
    company.control.set_clock(None)
    before = datetime.now(UTC).replace(microsecond=0)
    dated = parsedate_to_datetime(company.get("/organization/projects").headers["date"])
    assert before <= dated <= datetime.now(UTC)


def test_unknown_paths_and_methods_are_refused_in_the_apis_envelope(unchanging: Any) -> None:
    assert "error" in unchanging.get("/organization/nothing").json()
    answer = unchanging.http.post(unchanging.server.base_url + "/organization/costs")
    assert (answer.status_code, "error" in answer.json()) == (404, True)


def test_a_limit_over_31_can_be_clamped_silently(company: Any) -> None:
    company.control.set_wire(clamp_limit_to_31=True)
    start = date(2026, 1, 1)
    page = company.costs(start, start + timedelta(days=60), limit=180).json()
    assert (len(page["data"]), page["has_more"]) == (31, True)
    assert len(company.buckets(start, start + timedelta(days=60))) == 60
