{{ config(
    materialized='changed_buckets',
    changed='int_loads_changed',
    key=['load_id'],
    remembers=true
) }}

with loads as (
    select * from {{ ref('int_loads_changed') }}
),

costs as (
    select * from {{ ref('stg_openai__costs') }}
)

select
    costs.load_id,
    costs.revision_id,
    costs.organization_id,
    costs.organization_name,
    costs.openai_project_id,
    costs.openai_project_name,
    costs.currency,
    count(*) as row_count,
    sum(costs.cost) as cost
from loads
inner join costs on loads.load_id = costs.load_id
group by all
