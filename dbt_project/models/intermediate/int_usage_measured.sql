with changed as (
    select distinct
        organization_id,
        cost_date
    from {{ ref('int_costs_changed') }}
),

sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

usage as (
    select * from {{ ref('stg_openai__usage') }}
),

-- Old rows have input, output, cached and audio tokens alone.
measured as (
    select
        sightings.organization_id,
        sightings.cost_date,
        sightings.is_settled,
        sightings.endpoint,
        usage.openai_project_id,
        usage.api_key_id,
        usage.user_id,
        usage.model,
        usage.service_tier,
        usage.is_batch,
        coalesce(usage.num_model_requests, usage.num_requests) as request_count,
        coalesce(
            usage.input_uncached_tokens,
            usage.input_tokens
            - coalesce(usage.input_cached_tokens, 0)
            - coalesce(usage.input_cache_write_tokens, 0)
        )
        - coalesce(usage.input_audio_tokens, 0)
        - coalesce(usage.input_image_tokens, 0) as input_uncached_tokens,
        usage.input_cached_tokens
        - coalesce(usage.input_cached_audio_tokens, 0)
        - coalesce(usage.input_cached_image_tokens, 0) as input_cached_tokens,
        usage.input_cache_write_tokens,
        usage.output_tokens
        - coalesce(usage.output_audio_tokens, 0)
        - coalesce(usage.output_image_tokens, 0) as output_tokens,
        usage.input_audio_tokens,
        usage.input_cached_audio_tokens,
        usage.output_audio_tokens,
        usage.input_image_tokens,
        usage.input_cached_image_tokens,
        usage.output_image_tokens,
        usage.images,
        usage.characters,
        usage.seconds,
        usage.usage_bytes,
        usage.num_sessions,
        usage.num_requests
    from changed
    inner join sightings
        on
            changed.organization_id = sightings.organization_id
            and changed.cost_date = sightings.cost_date
    inner join usage
        on
            sightings.revision_id = usage.revision_id
            and sightings.cost_date = usage.cost_date
)

select
    organization_id,
    cost_date,
    is_settled,
    endpoint,
    openai_project_id,
    api_key_id,
    user_id,
    model,
    service_tier,
    is_batch,
    measure,
    request_count,
    quantity
from measured
unpivot (
    quantity for measure in (
        input_uncached_tokens,
        input_cached_tokens,
        input_cache_write_tokens,
        output_tokens,
        input_audio_tokens,
        input_cached_audio_tokens,
        output_audio_tokens,
        input_image_tokens,
        input_cached_image_tokens,
        output_image_tokens,
        images,
        characters,
        seconds,
        usage_bytes,
        num_sessions,
        num_requests
    )
)
-- Where the parts are more than the whole, nothing is left for the rest.
where quantity > 0
