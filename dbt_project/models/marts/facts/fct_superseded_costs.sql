{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date', 'api_version'],
    rows_per_batch=1000000
) }}

-- depends_on: {{ ref('int_costs_changed') }}
with costs as (
    select * from {{ ref('int_costs_attributed') }}
)

{{ cost_facts('costs') }}
where is_superseded
