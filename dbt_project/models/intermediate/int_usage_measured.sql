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

legacy_sightings as (
    select * from {{ ref('int_legacy_sightings') }}
),

legacy_usage as (
    select * from {{ ref('stg_openai__legacy_usage') }}
),

-- Slots of five minutes as days, because a part may show in another slot than its whole. A row of
-- another project than the key's counts where that project's own key tells it.
legacy_days as (
    select
        legacy_sightings.organization_id,
        legacy_sightings.cost_date,
        legacy_sightings.is_settled,
        'legacy_usage' as endpoint,
        legacy_sightings.openai_project_id,
        legacy_usage.api_key_id,
        legacy_usage.model,
        legacy_usage.is_batch,
        sum(legacy_usage.request_count) as num_model_requests,
        sum(legacy_usage.input_tokens) as input_tokens,
        sum(legacy_usage.input_cached_tokens) as input_cached_tokens,
        sum(legacy_usage.input_audio_tokens) as input_audio_tokens,
        sum(legacy_usage.output_tokens) as output_tokens,
        sum(legacy_usage.output_audio_tokens) as output_audio_tokens,
        sum(legacy_usage.images) as images,
        sum(legacy_usage.seconds) as seconds,
        sum(legacy_usage.characters) as characters
    from changed
    inner join legacy_sightings
        on
            changed.organization_id = legacy_sightings.organization_id
            and changed.cost_date = legacy_sightings.cost_date
    inner join legacy_usage
        on
            legacy_sightings.revision_id = legacy_usage.revision_id
            and legacy_sightings.cost_date = legacy_usage.cost_date
            and legacy_sightings.openai_project_id = legacy_usage.key_project_id
    where
        legacy_usage.openai_project_id is null
        or legacy_usage.openai_project_id = legacy_usage.key_project_id
    group by all
),

answers as (
    select
        usage.* replace (sightings.organization_id as organization_id),
        sightings.is_settled
    from changed
    inner join sightings
        on
            changed.organization_id = sightings.organization_id
            and changed.cost_date = sightings.cost_date
    inner join usage
        on
            sightings.revision_id = usage.revision_id
            and sightings.cost_date = usage.cost_date

    union all by name

    select * from legacy_days
),

-- Old rows have input, output, cached and audio tokens alone.
measured as (
    select
        answers.organization_id,
        answers.cost_date,
        answers.is_settled,
        answers.endpoint,
        answers.openai_project_id,
        answers.api_key_id,
        answers.user_id,
        answers.model,
        answers.service_tier,
        answers.is_batch,
        coalesce(answers.num_model_requests, answers.num_requests) as request_count,
        coalesce(
            answers.input_uncached_tokens,
            answers.input_tokens
            - coalesce(answers.input_cached_tokens, 0)
            - coalesce(answers.input_cache_write_tokens, 0)
        )
        - coalesce(answers.input_audio_tokens, 0)
        - coalesce(answers.input_image_tokens, 0) as input_uncached_tokens,
        answers.input_cached_tokens
        - coalesce(answers.input_cached_audio_tokens, 0)
        - coalesce(answers.input_cached_image_tokens, 0) as input_cached_tokens,
        answers.input_cache_write_tokens,
        answers.output_tokens
        - coalesce(answers.output_audio_tokens, 0)
        - coalesce(answers.output_image_tokens, 0) as output_tokens,
        answers.input_audio_tokens,
        answers.input_cached_audio_tokens,
        answers.output_audio_tokens,
        answers.input_image_tokens,
        answers.input_cached_image_tokens,
        answers.output_image_tokens,
        answers.images,
        answers.characters,
        answers.seconds,
        answers.usage_bytes,
        answers.num_sessions,
        answers.num_requests
    from answers
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
