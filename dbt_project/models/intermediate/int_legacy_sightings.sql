{{ config(materialized='table') }}

with contents as (
    select * from {{ ref('int_legacy_readings_compared') }}
),

project_organizations as (
    select * from {{ ref('int_openai_projects_placed') }}
),

team_organizations as (
    select * from {{ ref('int_teams_placed') }}
),

usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

-- A reading tells the projects whose keys were asked, those included that used nothing.
told as (
    select
        team_id,
        cost_date,
        revision_id,
        row_count,
        collection_id,
        known_from,
        newest_ok_at,
        settled_from,
        unnest(string_split(query_signature, ',')) as openai_project_id
    from contents
),

-- The newest that asked for the project: its key may have been withdrawn, or moved to another team.
newest as (
    select *
    from told
    qualify
        row_number() over (
            partition by openai_project_id, cost_date order by newest_ok_at desc, collection_id desc
        ) = 1
),

placed as (
    select
        newest.*,
        coalesce(
            project_organizations.organization_id,
            team_organizations.organization_id,
            'local-' || newest.team_id
        ) as organization_id
    from newest
    left join project_organizations
        on newest.openai_project_id = project_organizations.openai_project_id
    left join team_organizations on newest.team_id = team_organizations.team_id
)

select
    organization_id,
    openai_project_id,
    cost_date,
    revision_id,
    row_count,
    collection_id,
    known_from as collected_at,
    settled_from is not null as is_settled
from placed
where
    -- What the organization itself told of the day has all of its projects.
    (organization_id, cost_date) not in (
        select (usage_sightings.organization_id, usage_sightings.cost_date)
        from usage_sightings
        where usage_sightings.is_read and usage_sightings.endpoint in {{ model_endpoints() }}
    )
