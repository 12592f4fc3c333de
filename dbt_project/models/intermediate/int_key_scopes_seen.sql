{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

costs as (
    select * from {{ ref('int_costs_landed') }}
),

usage as (
    select * from {{ ref('int_usage_landed') }}
),

listed_projects as (
    select * from {{ ref('stg_openai__projects') }}
),

readings as (
    select
        key_fingerprint,
        organization_id,
        revision_id,
        max(collected_at) as last_seen_at
    from collections
    -- Several project keys tell one bucket of the legacy endpoint; it names none.
    where status = 'ok' and key_fingerprint is not null
    group by all
),

revision_scopes as (
    select
        revision_id,
        organization_id,
        organization_name,
        openai_project_id,
        openai_project_name
    from costs

    union all

    select
        revision_id,
        organization_id,
        null as organization_name,
        openai_project_id,
        null as openai_project_name
    from usage
),

seen as (
    select
        readings.key_fingerprint,
        revision_scopes.organization_id,
        revision_scopes.organization_name,
        revision_scopes.openai_project_id,
        revision_scopes.openai_project_name,
        false as is_listing,
        readings.last_seen_at
    from readings
    inner join revision_scopes on readings.revision_id = revision_scopes.revision_id

    union all by name

    select
        key_fingerprint,
        organization_id,
        false as is_listing,
        last_seen_at
    from readings

    union all by name

    select
        key_fingerprint,
        openai_project_id,
        openai_project_name,
        true as is_listing,
        collected_at as last_seen_at
    from listed_projects
)

select
    key_fingerprint,
    organization_id,
    organization_name,
    openai_project_id,
    openai_project_name,
    is_listing,
    max(last_seen_at) as last_seen_at
from seen
group by all
