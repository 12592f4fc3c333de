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
)

select
    usage.load_id,
    usage.revision_id,
    usage.organization_id,
    usage.openai_project_id,
    lower(trim(usage.model)) as model,
    count(*) as row_count
from loads
inner join usage on loads.load_id = usage.load_id
group by all
