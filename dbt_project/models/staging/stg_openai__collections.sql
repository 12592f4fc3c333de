with collections as (
    select * from {{ source('raw', 'collections') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    collection_id,
    run_id,
    team_id,
    endpoint,
    cost_date,
    key_id,
    key_fingerprint,
    organization_id,
    status,
    collected_at,
    row_count,
    cost,
    -- OpenAI bills in US dollars; an amount that names no currency is one of those.
    coalesce(upper(currency), 'USD') as currency,
    content_hash,
    revision_id,
    query_signature,
    error,
    _dlt_load_id as load_id
from collections
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
