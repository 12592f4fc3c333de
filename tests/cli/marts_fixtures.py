"""A small published file with the contract's columns."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import duckdb

TABLES = """
create table dim_teams (
    team_id varchar not null, team_name varchar, parent_team_id varchar, owner_email varchar,
    budget_owner_email varchar, cost_center varchar, is_active boolean
);
create table dim_projects (
    project_id varchar not null, project_name varchar, team_id varchar, openai_project_id varchar,
    openai_project_name varchar, environment varchar, owner_email varchar, cost_center varchar,
    tags json, is_active boolean
);
create table fct_project_daily_costs (
    cost_date date not null, team_id varchar not null, project_id varchar not null,
    organization_id varchar not null, openai_project_id varchar, currency varchar not null,
    cost decimal(38, 18) not null, cost_source varchar, is_settled boolean
);
create table fct_team_daily_costs (
    cost_date date not null, team_id varchar not null, currency varchar not null,
    cost decimal(38, 18) not null, cost_source varchar, project_count bigint, is_settled boolean
);
create table rpt_cost_summary (
    team_id varchar not null, currency varchar not null, as_of_date date not null,
    latest_complete_date date, yesterday decimal(38, 18), yesterday_is_settled boolean,
    this_week decimal(38, 18), month_to_date decimal(38, 18), previous_month decimal(38, 18)
);
create table rpt_collection_status (
    cost_date date not null, team_id varchar not null, endpoint varchar not null,
    status varchar not null, last_ok_at timestamptz, row_count bigint, cost decimal(38, 18),
    collected_at timestamptz, error varchar
);
create table rpt_build (
    built_at timestamptz not null, run_id varchar, contract_version varchar, cost_source varchar,
    newest_complete_date date
);
"""

CONTENT = """
insert into dim_teams (team_id, team_name, is_active) values
    ('web', 'Web shop', true), ('ml', 'ml', true), ('unallocated', 'Unallocated', null);
insert into dim_projects (project_id, project_name, team_id, tags) values
    ('shop', 'Shop', 'web', '{"tier": "1"}'), ('search', 'Search', 'web', null),
    ('train', 'Training', 'ml', null), ('unallocated', 'Unallocated', 'unallocated', null);
insert into fct_project_daily_costs values
    ('2026-03-01', 'web', 'shop', 'org-1', 'proj_1', 'USD',
     10.000000000000000001, 'costs_v1', true),
    ('2026-03-30', 'web', 'shop', 'org-1', 'proj_1', 'USD', 1234.5, 'costs_v1', true),
    ('2026-03-30', 'web', 'shop', 'org-2', 'proj_9', 'USD', 0.000000000000000001, 'costs_v1', true),
    ('2026-03-30', 'web', 'search', 'org-1', 'proj_2', 'USD', 0.25, 'costs_v1', true),
    ('2026-03-30', 'ml', 'train', 'org-1', 'proj_3', 'EUR', 3, 'costs_v1', true),
    ('2026-03-31', 'web', 'shop', 'org-1', 'proj_1', 'USD', 0.003, 'costs_v1', false),
    ('2026-03-31', 'unallocated', 'unallocated', 'org-1', null, 'USD', -1.005, 'costs_v1', false);
insert into fct_team_daily_costs
    select cost_date, team_id, currency, sum(cost), 'costs_v1', count(distinct project_id),
        bool_and(is_settled)
    from fct_project_daily_costs group by all;
insert into rpt_cost_summary values
    ('web', 'USD', '2026-03-31', '2026-03-31', 0.003, false, 1234.753, 1244.753, null),
    ('ml', 'EUR', '2026-03-31', '2026-03-30', null, false, null, null, 12345678.9),
    ('unallocated', 'USD', '2026-03-31', '2026-03-31', -1.005, true, -1.005, -1.005, 0);
insert into rpt_collection_status (cost_date, team_id, endpoint, status, last_ok_at) values
    ('2026-03-30', 'web', 'costs', 'ok', '2026-04-01 06:00:00+00'),
    ('2026-03-30', 'ml', 'costs', 'failed', '2026-03-31 06:00:00+00'),
    ('2026-03-31', 'web', 'costs', 'ok', '2026-04-01 06:00:00+00'),
    ('2026-03-31', 'ml', 'costs', 'failed', null),
    ('2026-02-01', 'ml', 'costs', 'missing', null);
insert into rpt_build values
    ('2026-04-01 08:30:00+02', 'run-1', '1.0', 'costs_v1', '2026-03-31');
"""


def publish(path: Path, *, empty: bool = False) -> Path:
    """Write a published file as a build does: complete, mode 0444."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_built(empty=empty), path)
    path.chmod(0o444)
    return path


@cache
def _built(*, empty: bool) -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    with duckdb.connect(str(folder / "marts.duckdb")) as connection:
        connection.execute(TABLES if empty else TABLES + CONTENT)
    return folder / "marts.duckdb"
