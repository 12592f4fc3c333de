{{ config(materialized='table') }}

{{ changed_buckets(ref('int_requests_buckets'), key=['cost_date']) }}
