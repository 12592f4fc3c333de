{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000
) }}

with changed as (
    select * from {{ ref('int_costs_changed') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
)

select
    cost_date,
    team_id,
    project_id,
    organization_id,
    openai_project_id,
    currency,
    sum(cost) as cost,
    case when min(api_version) = max(api_version) then min(api_version) else 'mixed' end
        as cost_source,
    bool_and(is_settled) as is_settled
from costs
where
    is_reported
    -- The date alone first: pairs would be looked for in every part of a long table.
    and cost_date in (select changed.cost_date from changed)
    and (organization_id, cost_date)
    in (select (changed.organization_id, changed.cost_date) from changed)
group by all
