with legacy_usage as (
    select * from {{ source('raw', 'legacy_usage') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    revision_id,
    cost_date,
    key_project_id,
    aggregation_at,
    dataset,
    operation,
    model,
    openai_project_id,
    api_key_id,
    is_batch,
    request_count,
    input_tokens,
    input_cached_tokens,
    input_audio_tokens,
    output_tokens,
    output_audio_tokens,
    images,
    seconds,
    characters,
    _dlt_load_id as load_id
from legacy_usage
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
