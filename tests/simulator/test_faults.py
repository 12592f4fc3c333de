"""Every fault that can be planted, and which calls it hits."""

from __future__ import annotations

from datetime import date, timedelta
from time import monotonic
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from finops_pipeline.simulator import Fault

DAY = date(2026, 3, 10)


def statuses(company: Any, calls: int, **asked: Any) -> list[int]:
    return [company.costs(DAY, **asked).status_code for _ in range(calls)]


def test_a_status_with_message_and_retry_after(company: Any) -> None:
    company.control.plant_fault(
        Fault(kind="status", status=429, message="Slow down", code="rate_limit", retry_after=2)
    )
    answer = company.costs(DAY)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.json()["error"]["message"] == "Slow down"
    assert answer.json()["error"]["code"] == "rate_limit"
    company.control.clear_faults()
    assert company.costs(DAY).status_code == 200


def test_a_status_without_retry_after_in_a_bare_envelope(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=503, message="no", bare_error=True))
    answer = company.costs(DAY)
    assert (answer.status_code, answer.json()) == (503, {"error": "no"})
    assert "retry-after" not in answer.headers


def test_a_redirect_names_its_location(company: Any) -> None:
    company.control.plant_fault(
        Fault(kind="status", status=307, location="http://127.0.0.1:9/elsewhere")
    )
    answer = company.costs(DAY)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:9/elsewhere")


def test_a_connection_dropped_before_the_answer(company: Any) -> None:
    company.control.plant_fault(Fault(kind="drop", times=1))
    with pytest.raises(httpx.TransportError):
        company.costs(DAY)
    assert company.costs(DAY).status_code == 200
    assert [each.status for each in company.control.requests()] == [None, 200]


def test_a_connection_dropped_in_the_middle_of_the_body(company: Any) -> None:
    whole = company.costs(DAY)
    company.control.plant_fault(Fault(kind="drop_mid_body"))
    with company.http.stream("GET", whole.url, headers=whole.request.headers) as answer:
        assert int(answer.headers["content-length"]) == len(whole.content)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            answer.read()


def test_a_truncated_body_is_the_start_of_the_answer(company: Any) -> None:
    whole = company.costs(DAY)
    company.control.plant_fault(Fault(kind="truncated"))
    answer = company.costs(DAY)
    assert answer.status_code == 200
    assert whole.content.startswith(answer.content)
    assert 0 < len(answer.content) < len(whole.content)


def test_garbage_is_no_json(company: Any) -> None:
    company.control.plant_fault(Fault(kind="garbage"))
    answer = company.costs(DAY)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_a_slow_answer_is_right(company: Any) -> None:
    quick = company.costs(DAY)
    company.control.plant_fault(Fault(kind="slow", seconds=0.15))
    before = monotonic()
    slow = company.costs(DAY)
    assert monotonic() - before >= 0.15
    assert slow.content == quick.content


def test_a_repeated_token_leads_back_to_its_own_page(company: Any) -> None:
    company.control.plant_fault(Fault(kind="repeated_token"))
    first = company.costs(DAY).json()
    again = company.costs(DAY, page=first["next_page"]).json()
    assert first["has_more"] is True
    assert again == first


def test_more_pages_without_a_token(company: Any) -> None:
    company.control.plant_fault(Fault(kind="missing_token"))
    page = company.costs(DAY, DAY + timedelta(days=1)).json()
    assert (page["has_more"], page["next_page"]) == (True, None)
    assert page["data"]


@pytest.mark.parametrize("path", ["/organization/costs", "/organization/projects"])
def test_a_page_without_data(company: Any, path: str) -> None:
    asked = {"start_time": company.unix(DAY)} if path.endswith("costs") else None
    whole = company.get(path, params=asked).json()
    company.control.plant_fault(Fault(kind="missing_data"))
    page = company.get(path, params=asked).json()
    del whole["data"]
    assert page == whole


def test_the_wire_is_kept_to_the_digit_by_a_changed_page(company: Any) -> None:
    whole = company.costs(DAY).text
    company.control.plant_fault(Fault(kind="missing_token"))
    assert company.costs(DAY).text.split('"has_more"')[0] == whole.split('"has_more"')[0]


def test_nth_and_times_choose_the_calls(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=500, nth=2, times=2))
    assert statuses(company, 5) == [200, 500, 500, 200, 200]


def test_without_times_it_lasts_until_cleared(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=500))
    assert statuses(company, 4) == [500] * 4


def test_key_organization_and_endpoint_choose_the_calls(company: Any) -> None:
    search, support, research = company.keys
    company.control.plant_fault(Fault(kind="status", status=500, key=support))
    assert [statuses(company, 1, key=key)[0] for key in company.keys] == [200, 500, 200]
    company.control.clear_faults()
    company.control.plant_fault(
        Fault(kind="status", status=502, organization_id=company.organization.id)
    )
    assert [statuses(company, 1, key=key)[0] for key in company.keys] == [502, 502, 200]
    company.control.clear_faults()
    company.control.plant_fault(Fault(kind="status", status=503, endpoint="projects"))
    assert statuses(company, 1, key=search) == [200]
    assert company.get("/organization/projects", key=research).status_code == 503


def test_a_probability_is_drawn_from_its_seed(company: Any) -> None:
    fault = Fault(kind="status", status=500, probability=0.3, seed=5)
    company.control.plant_fault(fault)
    drawn = statuses(company, 40)
    assert 4 <= drawn.count(500) <= 20
    company.control.clear_faults()
    company.control.plant_fault(fault)
    assert statuses(company, 40) == drawn


def test_of_two_faults_the_first_fires_and_both_count(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=500, times=1))
    company.control.plant_fault(Fault(kind="status", status=502, nth=2, times=1))
    assert statuses(company, 3) == [500, 502, 200]


def test_a_fault_that_makes_no_sense_cannot_be_described() -> None:
    with pytest.raises(ValidationError, match="slow needs seconds"):
        Fault(kind="slow")
