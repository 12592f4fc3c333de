{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date']
) }}

with changed as (
    select * from {{ ref('int_costs_changed') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
)

select distinct
    organization_id,
    cost_date,
    model
from costs
where
    model is not null
    -- The date alone first: pairs would be looked for in every part of a long table.
    and cost_date in (select changed.cost_date from changed)
    and (organization_id, cost_date)
    in (select (changed.organization_id, changed.cost_date) from changed)
