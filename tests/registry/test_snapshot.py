"""What a build lands of the registry: declared types, and nothing of a key."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pyarrow as pa

from finops_pipeline.registry import Registry
from tests.registry.postgresql import on_both

TEXT, FLAG, DAY, TIME = pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us", tz="UTC")
SCHEMAS = {
    "teams": pa.schema(
        {
            "team_id": TEXT,
            "team_name": TEXT,
            "parent_team_id": TEXT,
            "owner_email": TEXT,
            "budget_owner_email": TEXT,
            "cost_center": TEXT,
            "is_active": FLAG,
            "created_at": TIME,
            "deactivated_at": TIME,
        }
    ),
    "projects": pa.schema(
        {
            "project_id": TEXT,
            "project_name": TEXT,
            "openai_project_id": TEXT,
            "environment": TEXT,
            "owner_email": TEXT,
            "cost_center": TEXT,
            "tags": TEXT,
            "is_active": FLAG,
            "created_at": TIME,
        }
    ),
    "team_attributes": pa.schema(
        {
            "team_id": TEXT,
            "team_name": TEXT,
            "parent_team_id": TEXT,
            "owner_email": TEXT,
            "budget_owner_email": TEXT,
            "cost_center": TEXT,
            "valid_from": DAY,
            "valid_to": DAY,
        }
    ),
    "project_attributes": pa.schema(
        {
            "project_id": TEXT,
            "project_name": TEXT,
            "environment": TEXT,
            "owner_email": TEXT,
            "cost_center": TEXT,
            "tags": TEXT,
            "valid_from": DAY,
            "valid_to": DAY,
        }
    ),
    "project_ownership": pa.schema(
        {
            "project_id": TEXT,
            "team_id": TEXT,
            "openai_project_id": TEXT,
            "valid_from": DAY,
            "valid_to": DAY,
        }
    ),
    "keys": pa.schema(
        {
            "key_id": TEXT,
            "team_id": TEXT,
            "key_type": TEXT,
            "project_id": TEXT,
            "fingerprint": TEXT,
            "organization_id": TEXT,
            "is_active": FLAG,
            "created_at": TIME,
            "deactivated_at": TIME,
        }
    ),
}


pytestmark = on_both


def test_an_empty_registry_has_the_declared_schemas(registry: Registry) -> None:
    snapshot = registry.snapshot()

    for name, schema in SCHEMAS.items():
        table = getattr(snapshot, name)
        assert table.num_rows == 0
        assert table.schema.equals(schema, check_metadata=True)


def test_everything_is_in_it_but_key_material(registry: Registry, key: str, other_key: str) -> None:
    registry.add_team("company")
    registry.add_team("web", parent_team_id="company", owner_email="ann@example.com")
    registry.deactivate_team("company")
    registry.register_key("web", key, organization_id="org-1")
    registry.rotate_key("web", other_key)
    registry.add_project(
        "search",
        team_id="web",
        openai_project_id="proj_1",
        tags={"b": "größer", "a": "1"},
        valid_from=date(2026, 3, 1),
    )
    registry.add_project("mail", team_id="web", openai_project_id="proj_2")
    snapshot = registry.snapshot()

    for name, schema in SCHEMAS.items():
        assert getattr(snapshot, name).schema.equals(schema)
    company, web = snapshot.teams.to_pylist()
    assert (company["team_id"], company["is_active"]) == ("company", False)
    assert company["deactivated_at"].tzinfo is not None
    assert datetime.now(UTC) >= company["deactivated_at"] >= company["created_at"]
    assert (web["parent_team_id"], web["deactivated_at"]) == ("company", None)
    assert [row["project_id"] for row in snapshot.projects.to_pylist()] == ["mail", "search"]
    assert snapshot.projects.column("tags").to_pylist() == ["{}", '{"a": "1", "b": "größer"}']
    assert json.loads(snapshot.projects.column("tags")[1].as_py()) == {"a": "1", "b": "größer"}
    assert snapshot.project_ownership.to_pylist() == [
        {
            "project_id": "mail",
            "team_id": "web",
            "openai_project_id": "proj_2",
            "valid_from": None,
            "valid_to": None,
        },
        {
            "project_id": "search",
            "team_id": "web",
            "openai_project_id": "proj_1",
            "valid_from": date(2026, 3, 1),
            "valid_to": None,
        },
    ]
    old, new = snapshot.keys.to_pylist()
    assert (old["is_active"], new["is_active"]) == (False, True)
    assert (old["organization_id"], new["deactivated_at"]) == ("org-1", None)
    everything = "".join(str(getattr(snapshot, name).to_pylist()) for name in SCHEMAS)
    assert key[-4:] not in everything
    assert other_key[-4:] not in everything


def test_teams_and_projects_are_as_of_today_and_their_history_is_whole(registry: Registry) -> None:
    registry.add_team("web", cost_center="CC-1")
    registry.add_project("search", team_id="web", openai_project_id="proj_1", tags={"tier": "gold"})
    registry.set_team("web", cost_center="CC-2", effective=date(2026, 3, 1))
    registry.set_team("web", cost_center="CC-3", effective=date(9000, 1, 1))
    registry.set_project("search", tags={"tier": ""}, effective=date(9000, 1, 1))
    snapshot = registry.snapshot()

    assert snapshot.teams.column("cost_center").to_pylist() == ["CC-2"]
    assert snapshot.projects.column("tags").to_pylist() == ['{"tier": "gold"}']
    history = snapshot.team_attributes.select(["cost_center", "valid_from", "valid_to"])
    assert [tuple(row.values()) for row in history.to_pylist()] == [
        ("CC-1", None, date(2026, 3, 1)),
        ("CC-2", date(2026, 3, 1), date(9000, 1, 1)),
        ("CC-3", date(9000, 1, 1), None),
    ]
    tags = snapshot.project_attributes.select(["tags", "valid_to"])
    assert [tuple(row.values()) for row in tags.to_pylist()] == [
        ('{"tier": "gold"}', date(9000, 1, 1)),
        ("{}", None),
    ]
