"""The control endpoints: guarded, and honest about wrong input."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import Control, Fault, Scenario, SimulatedServer, Wire

ENDPOINTS = [
    ("GET", "clock"),
    ("PUT", "clock"),
    ("GET", "wire"),
    ("PATCH", "wire"),
    ("POST", "restate"),
    ("POST", "faults"),
    ("DELETE", "faults"),
    ("GET", "totals"),
    ("GET", "requests"),
    ("DELETE", "requests"),
    ("POST", "prerender"),
    ("POST", "reset"),
]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "tok", "Bearer té"])
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_endpoint_needs_the_control_token(
    unchanging: Any, method: str, path: str, authorization: str | None
) -> None:
    url = unchanging.server.base_url.replace("/v1", f"/control/{path}")
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = unchanging.http.request(method, url, headers=headers, json={})
    assert answer.status_code == 401


def test_an_admin_key_is_no_control_token(unchanging: Any) -> None:
    url = unchanging.server.base_url.removesuffix("/v1")
    with Control(url, unchanging.keys[0]) as control, pytest.raises(UsageError, match="token"):
        control.totals()


def test_the_clock_decides_which_buckets_exist(company: Any) -> None:
    later = company.now + timedelta(days=3)
    day = company.now.date() + timedelta(days=1)
    assert company.costs(day).status_code == 400
    company.control.set_clock(later)
    assert company.control.clock() == later
    assert company.rows(day)


def test_todays_bucket_grows_with_the_clock(company: Any) -> None:
    midnight = company.now.replace(hour=0, minute=0)
    counted = []
    for hour in (0, 6, 18, 30):
        company.control.set_clock(midnight + timedelta(hours=hour, minutes=1))
        counted.append(sum(row["quantity"] for row in company.rows(company.now.date())))
    assert counted == sorted(set(counted))
    assert counted[0] == 0


def test_requests_are_recorded_without_their_keys(company: Any) -> None:
    company.costs(date(2026, 3, 10), limit=1)
    company.get("/organization/projects", key="sk-admin-unknownWXYZ")
    first, second = company.control.requests()
    assert (first.path, first.status, first.last4) == (
        "/v1/organization/costs",
        200,
        company.keys[0][-4:],
    )
    assert "limit=1" in first.query
    assert (second.status, second.last4) == (401, "WXYZ")
    company.control.reset_requests()
    assert company.control.requests() == []


def test_recorded_requests_name_the_fault_that_fired(company: Any) -> None:
    company.control.plant_fault(Fault(kind="status", status=500))
    company.costs(date(2026, 3, 10))
    assert [(each.status, each.fault) for each in company.control.requests()] == [(500, "status")]


def test_the_wire_can_be_read_and_changed_in_part(company: Any) -> None:
    company.control.set_wire(amounts="string")
    company.control.set_wire(organization_id_on_wire=False)
    assert company.control.wire() == Wire(amounts="string", organization_id_on_wire=False)


def test_totals_can_be_narrowed(company: Any) -> None:
    start, end = date(2026, 3, 1), date(2026, 3, 4)
    totals = company.control.totals(company.organization.id, start, end)
    assert {total.organization_id for total in totals} == {company.organization.id}
    assert {total.day for total in totals} == {start + timedelta(days=n) for n in range(3)}
    assert {total.organization_id for total in company.control.totals()} == {
        each.id for each in company.server.scenario.organizations
    }


def test_a_reset_brings_the_scenario_back(company: Any) -> None:
    day = date(2026, 3, 10)
    original = company.costs(day).content
    company.control.set_wire(amounts="string")
    company.control.restate(company.organization.id, day, "empty")
    company.control.set_clock(company.now - timedelta(days=10))
    company.control.plant_fault(Fault(kind="status", status=500))
    assert company.costs(day).status_code == 500
    company.control.reset()
    assert company.control.requests() == []
    assert company.control.clock() == company.now
    assert company.costs(day).content == original


def test_wrong_input_is_refused_by_name(company: Any) -> None:
    with pytest.raises(UsageError, match="amounts"):
        company.control.set_wire(amounts="words")
    with pytest.raises(UsageError, match="colour"):
        company.control.set_wire(colour="red")
    with pytest.raises(UsageError, match="now"):
        company.control.set_clock(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is wrong
    headers = {"Authorization": "Bearer given"}
    with SimulatedServer(Scenario.demo(), control_token="given") as other:
        url = other.base_url.replace("/v1", "/control/faults")
        for body in (b"[]", b"{", b"", b"\xff"):
            assert company.http.post(url, headers=headers, content=body).status_code == 400
