{{ config(materialized='table') }}

with landed as (
    select * from {{ ref('int_requests_landed') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
),

usage as (
    select * from {{ ref('fct_usage') }}
),

project_organizations as (
    select * from {{ ref('int_openai_projects_placed') }}
),

team_organizations as (
    select * from {{ ref('int_teams_placed') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

logged as (
    select
        cost_date,
        openai_project_id,
        api_key_id,
        sum(row_count) as row_count
    from landed
    group by all
),

keys_alone as (
    select distinct api_key_id
    from logged
    where openai_project_id is null
),

keys_seen as (
    select distinct
        api_key_id,
        openai_project_id
    from costs
    where
        openai_project_id is not null
        and api_key_id in (select keys_alone.api_key_id from keys_alone)

    union

    select distinct
        api_key_id,
        openai_project_id
    from usage
    where
        openai_project_id is not null
        and api_key_id in (select keys_alone.api_key_id from keys_alone)
),

-- A key is of one project for ever.
key_projects as (
    select
        api_key_id,
        min(openai_project_id) as openai_project_id
    from keys_seen
    group by api_key_id
)

select
    logged.cost_date,
    logged.openai_project_id as logged_project_id,
    logged.api_key_id,
    logged.row_count,
    coalesce(logged.openai_project_id, key_projects.openai_project_id) as openai_project_id,
    coalesce(project_organizations.organization_id, team_organizations.organization_id)
        as organization_id,
    coalesce(project_ownership.team_id, {{ unallocated() }}) as team_id,
    coalesce(project_ownership.project_id, {{ unallocated() }}) as project_id
from logged
left join key_projects
    on
        logged.api_key_id = key_projects.api_key_id
        and logged.openai_project_id is null
left join project_organizations
    on
        coalesce(logged.openai_project_id, key_projects.openai_project_id)
        = project_organizations.openai_project_id
left join project_ownership
    on
        coalesce(logged.openai_project_id, key_projects.openai_project_id)
        = project_ownership.openai_project_id
        and logged.cost_date >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
        and logged.cost_date < coalesce(project_ownership.valid_to, cast('infinity' as date))
left join team_organizations on project_ownership.team_id = team_organizations.team_id
