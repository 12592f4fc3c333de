{{ config(materialized='table') }}

with usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

legacy_sightings as (
    select * from {{ ref('int_legacy_sightings') }}
)

select
    organization_id,
    endpoint,
    cost_date,
    cast(null as varchar) as only_project_id,
    revision_id,
    row_count,
    collection_id,
    collected_at,
    is_settled
from usage_sightings
where is_read

union all

select
    organization_id,
    'legacy_usage' as endpoint,
    cost_date,
    openai_project_id as only_project_id,
    revision_id,
    row_count,
    collection_id,
    collected_at,
    is_settled
from legacy_sightings
