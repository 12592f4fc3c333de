{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date', 'api_version'],
    rows_per_batch=1000000,
    remembers=true
) }}

-- depends_on: {{ ref('int_costs_changed') }}
with billed as (
    select * from {{ ref('int_costs_attributed') }}
),

used as (
    select * from {{ ref('int_usage_costed') }}
),

costs as (
    select * exclude (is_superseded)
    from billed
    where not is_superseded

    union all by name

    select * from used
)

{{ cost_facts('costs') }}
