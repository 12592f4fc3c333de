{{ config(materialized='table') }}

{{ changed_buckets(
    ref('int_reconciliation_buckets'), key=['organization_id', 'cost_date']
) }}
