"""The legacy endpoint tells a project's key what the usage endpoints tell of that project."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from finops_pipeline.simulator import EndpointGap, Fault, LegacyLimit, Scenario
from finops_pipeline.simulator.errors import RefusalError
from finops_pipeline.simulator.legacy import CallsOfKeys
from finops_pipeline.simulator.model import SimulatedOrganization, SimulatedProject
from tests.simulator.conftest import Company

DAY = date(2026, 3, 3)
KEYS = {"proj_everything": "sk-proj-everything", "proj_other": "sk-proj-other"}
USES = (
    "gpt-4o-2024-08-06",
    "batch | gpt-4.1-2025-04-14",
    "ft-gpt-4o-mini-2024-07-18",
    "text-embedding-3-small",
    "omni-moderation-latest",
    "Image models",
    "whisper-1",
    "tts-1",
    "Vector storage",
)
LISTS = {"data", "ft_data", "dalle_api_data", "whisper_api_data", "tts_api_data"}


@pytest.fixture
def company(open_company: Callable[[Scenario], Company]) -> Company:
    organization = SimulatedOrganization(
        id="org-1",
        name="One",
        admin_keys=["sk-admin-one"],
        projects=(
            SimulatedProject(
                id="proj_everything", uses=USES, api_keys=2, keys=(KEYS["proj_everything"],)
            ),
            SimulatedProject(id="proj_other", uses=("tts-1",), keys=(KEYS["proj_other"],)),
        ),
        endpoint_gaps=(EndpointGap(cause="refused_endpoint", endpoint="moderations"),),
    )
    return open_company(
        Scenario(
            start=date(2026, 3, 1),
            now=datetime(2026, 3, 10, 9, 30, tzinfo=UTC),
            organizations=(organization,),
            legacy_limit=LegacyLimit(calls=100),
        )
    )


def told(company: Company, project: str = "proj_everything", day: str = "2026-03-03") -> Any:
    answer = company.get("/usage", key=KEYS[project], params={"date": day})
    assert answer.status_code == 200, answer.text
    return answer.json()


def summed(company: Company, endpoint: str, measure: str, project: str) -> int:
    """What the usage endpoint tells of a project and day."""
    window = {"start_time": company.unix(DAY), "end_time": company.unix(DAY) + 86_400}
    answer = company.get(
        f"/organization/usage/{endpoint}", params=window | {"project_ids[]": project}
    )
    (bucket,) = answer.json()["data"]
    return sum(row[measure] for row in bucket["results"])


def test_all_lists_add_up_to_what_the_usage_endpoints_tell(company: Company) -> None:
    answer = told(company)
    assert answer.keys() >= LISTS
    assert all(answer[name] for name in LISTS)
    tokens = answer["data"] + answer["ft_data"]
    for legacy, measure in {
        "n_context_tokens_total": "input_tokens",
        "n_cached_context_tokens_total": "input_cached_tokens",
        "n_generated_tokens_total": "output_tokens",
        "n_requests": "num_model_requests",
    }.items():
        found = sum(row[legacy] for row in tokens if row["operation"] == "completion")
        assert found == summed(company, "completions", measure, "proj_everything"), measure
    for name, legacy, endpoint, measure in [
        ("dalle_api_data", "num_images", "images", "images"),
        ("whisper_api_data", "num_seconds", "audio_transcriptions", "seconds"),
        ("tts_api_data", "num_characters", "audio_speeches", "characters"),
    ]:
        found = sum(row[legacy] for row in answer[name])
        assert found == summed(company, endpoint, measure, "proj_everything")
    assert {row["operation"] for row in answer["data"]} == {
        "completion",
        "embeddings",
        "moderation",
    }, "also of an endpoint that the organization does not have"
    assert {row["request_type"] for row in answer["data"]} == {"", "batch"}


def test_rows_are_slots_of_five_minutes_of_the_day_and_of_the_keys_project(
    company: Company,
) -> None:
    answer = told(company)
    rows = [row for name in LISTS for row in answer[name]]
    slots = {row.get("aggregation_timestamp", row.get("timestamp")) for row in rows}
    assert all(slot % 300 == 0 for slot in slots)
    assert {datetime.fromtimestamp(slot, UTC).date() for slot in slots} == {DAY}
    assert {row["project_id"] for row in rows} == {"proj_everything"}
    other = told(company, "proj_other")
    assert {row["project_id"] for row in other["tts_api_data"]} == {"proj_other"}
    assert other["data"] == []


def test_today_is_told_so_far_and_the_time_before_is_empty(company: Company) -> None:
    slots = {row["aggregation_timestamp"] for row in told(company, day="2026-03-10")["data"]}
    assert max(slots) < company.unix(date(2026, 3, 10)) + 9 * 3600
    assert not any(told(company, day="2025-01-01")[name] for name in LISTS)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "date"),
        ({"date": "2026-3-3"}, "date"),
        ({"date": "20260303"}, "date"),
        ({"date": "yesterday"}, "date"),
        ({"date": "2026-03-11"}, "date"),
        ({"date": "2026-03-03", "start_time": "1"}, "start_time"),
    ],
)
def test_a_wrong_date_is_a_400(company: Company, params: dict[str, str], param: str) -> None:
    answer = company.get("/usage", key=KEYS["proj_other"], params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_admin_keys_and_unknown_keys_are_refused(company: Company) -> None:
    for key, status in [("sk-admin-one", 403), ("sk-proj-unknown", 401)]:
        answer = company.get("/usage", key=key, params={"date": "2026-03-03"})
        assert answer.status_code == status
        assert key not in answer.text
    answer = company.get("/organization/costs", key=KEYS["proj_other"])
    assert answer.status_code == 401, "a project key opens nothing of the organization"


def test_each_key_has_a_limit_of_its_own(open_company: Callable[[Scenario], Company]) -> None:
    company = open_company(
        Scenario.demo(start=date(2026, 3, 1), now=datetime(2026, 3, 9, tzinfo=UTC))
    )
    one, other = (project.keys[0] for project in company.organization.projects[:2])
    params = {"date": "2026-03-03"}
    answers = [company.get("/usage", key=one, params=params) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert company.get("/usage", key=other, params=params).status_code == 200


def test_a_call_is_taken_again_once_the_first_is_old_enough() -> None:
    now = 100.0
    calls = CallsOfKeys(LegacyLimit(calls=2, seconds=10), clock=lambda: now)
    calls.count("key")
    now = 104.5
    calls.count("key")
    with pytest.raises(RefusalError) as refused:
        calls.count("key")
    assert refused.value.headers == {"retry-after": "6"}
    now = 110.0
    calls.count("key")
    with pytest.raises(RefusalError):
        calls.count("key")


def test_faults_befall_the_legacy_endpoint_too(company: Company) -> None:
    company.control.plant_fault(Fault(kind="missing_data", endpoint="legacy_usage", times=1))
    assert "data" not in told(company)
    assert "data" in told(company)
