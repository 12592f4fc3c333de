with usage as (
    select * from {{ source('raw', 'usage') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    revision_id,
    cost_date,
    endpoint,
    organization_id,
    project_id as openai_project_id,
    user_id,
    api_key_id,
    model,
    service_tier,
    batch as is_batch,
    input_tokens,
    output_tokens,
    input_cached_tokens,
    input_uncached_tokens,
    input_cache_write_tokens,
    input_text_tokens,
    output_text_tokens,
    input_cached_text_tokens,
    input_audio_tokens,
    output_audio_tokens,
    input_cached_audio_tokens,
    input_image_tokens,
    output_image_tokens,
    input_cached_image_tokens,
    num_model_requests,
    images,
    characters,
    seconds,
    usage_bytes,
    num_sessions,
    num_requests,
    _dlt_load_id as load_id
from usage
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
