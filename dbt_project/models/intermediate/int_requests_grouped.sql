{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_requests_changed') }}
),

requests as (
    select * from {{ ref('int_requests_measured') }}
),

placed as (
    select * from {{ ref('int_requests_placed') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

service_tiers as (
    select * from {{ ref('stg_pricing__service_tiers') }}
),

alike as (
    select
        requests.cost_date,
        requests.logged_project_id,
        requests.api_key_id,
        requests.model,
        requests.service_tier,
        requests.is_batch,
        requests.is_long_context,
        requests.tells_images,
        sum(requests.input_text) as input_text,
        sum(requests.cached_input_text) as cached_input_text,
        sum(requests.output_text) as output_text,
        sum(requests.input_audio) as input_audio,
        sum(requests.output_audio) as output_audio,
        sum(requests.input_image) as input_image,
        sum(requests.cached_input_image) as cached_input_image,
        sum(requests.output_image) as output_image
    from changed
    inner join requests on changed.cost_date = requests.cost_date
    group by all
)

select
    alike.*,
    placed.openai_project_id,
    placed.organization_id,
    placed.team_id,
    placed.project_id,
    names.price_model,
    -- A bill names the model that a fine-tuned one was made of.
    case
        when names.is_fine_tuned then 'ft-' || names.base_model
        else lower(trim(alike.model))
    end as billed_model,
    -- Null where the request does not say.
    case
        when alike.is_batch then 'batch'
        else coalesce(service_tiers.service_tier, lower(alike.service_tier))
    end as tier,
    row_number() over (
        order by
            alike.cost_date,
            alike.logged_project_id,
            alike.api_key_id,
            alike.model,
            alike.service_tier,
            alike.is_batch,
            alike.is_long_context,
            alike.tells_images
    ) as group_number
from alike
inner join placed
    on
        alike.cost_date = placed.cost_date
        and alike.logged_project_id is not distinct from placed.logged_project_id
        and alike.api_key_id is not distinct from placed.api_key_id
left join names on lower(trim(alike.model)) = names.model
left join service_tiers on alike.service_tier = service_tiers.wire_tier
