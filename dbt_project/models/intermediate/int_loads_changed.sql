{{ config(materialized='table') }}

with loads as (
    select
        load_id,
        -- What landed is never changed.
        'landed' as signature
    from {{ ref('stg_dlt__complete_loads') }}
)

{{ changed_buckets('loads', key=['load_id']) }}
