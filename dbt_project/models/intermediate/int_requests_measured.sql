with requests as (
    select * from {{ ref('stg_requests__requests') }}
),

repeated as (
    select * from {{ ref('int_requests_repeated') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

long_contexts as (
    select
        price_model,
        min(long_context_from) as long_context_from
    from {{ ref('stg_pricing__model_prices') }}
    where context = 'long'
    group by price_model
),

-- What is from the cache and what is images overlap by what they exceed the input, at least.
told as (
    select
        * replace (
            greatest(
                input_cached_image_tokens,
                input_cached_tokens + input_image_tokens - input_tokens
            ) as input_cached_image_tokens
        )
    from requests
)

select
    requests.cost_date,
    requests.request_id,
    requests.requested_at,
    requests.openai_project_id as logged_project_id,
    requests.api_key_id,
    requests.user_id,
    requests.action,
    requests.task_type,
    requests.user_intent,
    requests.model,
    requests.system_fingerprint,
    requests.service_tier,
    requests.is_batch,
    requests.input_tokens,
    requests.input_cached_tokens,
    requests.output_tokens,
    requests.tells_images,
    -- Null where the price does not depend on it.
    requests.input_tokens > long_contexts.long_context_from as is_long_context,
    -- Every token is in one measure, as in fct_usage.
    greatest(
        requests.input_tokens
        - requests.input_cached_tokens
        - requests.input_audio_tokens
        - (requests.input_image_tokens - requests.input_cached_image_tokens),
        0
    ) as input_text,
    requests.input_cached_tokens - requests.input_cached_image_tokens as cached_input_text,
    greatest(
        requests.output_tokens - requests.output_audio_tokens - requests.output_image_tokens, 0
    ) as output_text,
    requests.input_audio_tokens as input_audio,
    requests.output_audio_tokens as output_audio,
    requests.input_image_tokens - requests.input_cached_image_tokens as input_image,
    requests.input_cached_image_tokens as cached_input_image,
    requests.output_image_tokens as output_image
from told as requests
left join repeated
    on
        requests.cost_date = repeated.cost_date
        and requests.load_id = repeated.told_in
        and requests.file_id = repeated.file_id
        and requests.line_number = repeated.line_number
left join names on lower(trim(requests.model)) = names.model
left join long_contexts on names.price_model = long_contexts.price_model
where repeated.told_in is null
