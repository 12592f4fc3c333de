{{ config(
    materialized='changed_buckets',
    changed='int_loads_changed',
    key=['load_id']
) }}

with loads as (
    select * from {{ ref('int_loads_changed') }}
),

usage as (
    select * from {{ ref('stg_openai__usage') }}
),

legacy_usage as (
    select * from {{ ref('stg_openai__legacy_usage') }}
),

rows_of_usage as (
    select
        load_id,
        revision_id,
        organization_id,
        openai_project_id,
        model
    from usage

    union all by name

    select
        load_id,
        revision_id,
        key_project_id as openai_project_id,
        model
    from legacy_usage
)

select
    rows_of_usage.load_id,
    rows_of_usage.revision_id,
    rows_of_usage.organization_id,
    rows_of_usage.openai_project_id,
    lower(trim(rows_of_usage.model)) as model,
    count(*) as row_count
from loads
inner join rows_of_usage on loads.load_id = rows_of_usage.load_id
group by all
