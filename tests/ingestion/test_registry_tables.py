"""Each build lands the registry and its settings anew."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from finops_pipeline.ingestion.registry_tables import CONTRACT_VERSION, land_registry
from finops_pipeline.settings import ExplicitSettings
from tests.ingestion.company import SimulatedCompany, admin_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def land(company: SimulatedCompany, run_id: str, settings: ExplicitSettings) -> dict[str, int]:
    with company.warehouse.writing("landing the registry"):
        return land_registry(
            company.warehouse,
            company.registry.snapshot(),
            settings,
            run_id=run_id,
            built_at=NOON,
        )


def test_the_registry_as_it_is_now(company: SimulatedCompany) -> None:
    company.registry.add_project("ranking", team_id="search", openai_project_id="proj_ranking")
    settings = ExplicitSettings(
        tolerance=Decimal("0.125"),
        tolerance_floor=Decimal("0.3"),
        request_tolerance=Decimal("0.02"),
    )
    land(company, "first", settings)
    company.registry.deactivate_key("support")
    assert land(company, "second", settings) == {
        "teams": 3,
        "team_attributes": 3,
        "projects": 1,
        "project_attributes": 1,
        "project_ownership": 1,
        "keys": 3,
        "build_settings": 1,
    }
    assert company.raw("SELECT * FROM raw.build_settings") == [
        (
            "second",
            NOON,
            CONTRACT_VERSION,
            "costs_v1",
            3,
            Decimal("0.125"),
            Decimal("0.3"),
            Decimal("0.02"),
        )
    ]
    assert company.raw("SELECT team_id FROM raw.keys WHERE is_active ORDER BY team_id") == [
        ("research",),
        ("search",),
    ]
    assert company.raw("SELECT team_id, openai_project_id FROM raw.project_ownership") == [
        ("search", "proj_ranking")
    ]


def test_no_key_leaves_the_registry(company: SimulatedCompany) -> None:
    land(company, "run", ExplicitSettings())
    with company.warehouse.connect() as connection:
        connection.execute("CHECKPOINT")
    content = company.warehouse.path.read_bytes()
    assert b"search" in content
    for team in ("search", "support", "research"):
        assert admin_key(team).encode() not in content
