{{ config(
    materialized='changed_buckets',
    changed='int_runs_changed',
    key=['run_id'],
    remembers=true
) }}

with changed as (
    select * from {{ ref('int_runs_changed') }}
),

collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
)

select
    collections.collection_id,
    collections.run_id,
    collections.team_id,
    organizations.organization_id,
    collections.endpoint,
    collections.cost_date,
    collections.collected_at,
    collections.status,
    collections.content_hash,
    collections.row_count,
    collections.cost
from collections
inner join changed on collections.run_id = changed.run_id
left join organizations on collections.key_fingerprint = organizations.key_fingerprint
