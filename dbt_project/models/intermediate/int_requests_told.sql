with requests as (
    select * from {{ ref('int_requests_measured') }}
),

grouped as (
    select * from {{ ref('int_requests_grouped') }}
)

select
    requests.cost_date,
    requests.request_id,
    requests.requested_at,
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
    requests.input_text,
    requests.cached_input_text,
    requests.output_text,
    requests.input_audio,
    requests.output_audio,
    requests.input_image,
    requests.cached_input_image,
    requests.output_image,
    grouped.group_number,
    grouped.openai_project_id,
    grouped.organization_id,
    grouped.team_id,
    grouped.project_id,
    grouped.billed_model,
    -- Short, and of no two requests the same.
    md5_number(requests.request_id) as request_number
from requests
inner join grouped
    on
        requests.cost_date = grouped.cost_date
        and requests.logged_project_id is not distinct from grouped.logged_project_id
        and requests.api_key_id is not distinct from grouped.api_key_id
        and requests.model = grouped.model
        and requests.service_tier is not distinct from grouped.service_tier
        and requests.is_batch is not distinct from grouped.is_batch
        and requests.is_long_context is not distinct from grouped.is_long_context
        and requests.tells_images = grouped.tells_images
