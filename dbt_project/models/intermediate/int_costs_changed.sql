{{ config(materialized='table') }}

{{ changed_buckets(
    ref('int_costs_buckets'), key=['organization_id', 'cost_date', 'api_version']
) }}
