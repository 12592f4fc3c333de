with requests as (
    select * from {{ source('raw', 'requests') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    file_id,
    line_number,
    landed_at,
    cost_date,
    request_id,
    requested_at,
    openai_project_id,
    api_key_id,
    model,
    system_fingerprint,
    service_tier,
    is_batch,
    input_tokens,
    input_cached_tokens,
    input_audio_tokens,
    coalesce(input_image_tokens, output_image_tokens) is not null as tells_images,
    coalesce(input_image_tokens, 0) as input_image_tokens,
    coalesce(input_cached_image_tokens, 0) as input_cached_image_tokens,
    output_tokens,
    output_audio_tokens,
    coalesce(output_image_tokens, 0) as output_image_tokens,
    user_id,
    action,
    task_type,
    user_intent,
    _dlt_load_id as load_id
from requests
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
