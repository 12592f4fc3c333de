{{ config(materialized='table') }}

with readings as (
    select
        team_id,
        endpoint,
        cost_date,
        collection_id,
        collected_at,
        load_id,
        revision_id,
        row_count,
        cost,
        currency,
        content_hash,
        query_signature
    from {{ ref('stg_openai__collections') }}
    where endpoint = 'legacy_usage' and status = 'ok'
),

{{ contents_of_readings('readings', 'team_id') }}
