{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['cost_date'],
    rows_per_batch=1000000
) }}

with changed as (
    select * from {{ ref('int_costs_changed') }}
),

project_daily_costs as (
    select * from {{ ref('fct_project_daily_costs') }}
)

select
    cost_date,
    team_id,
    currency,
    sum(cost) as cost,
    case when min(cost_source) = max(cost_source) then min(cost_source) else 'mixed' end
        as cost_source,
    count(distinct project_id) as project_count,
    bool_and(is_settled) as is_settled
from project_daily_costs
where cost_date in (select changed.cost_date from changed)
group by all
