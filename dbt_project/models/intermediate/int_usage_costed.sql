with changed as (
    select
        organization_id,
        cost_date
    from {{ ref('int_costs_changed') }}
    where api_version = 'usage_v1'
),

usage as (
    select * from {{ ref('fct_usage') }}
),

readings as (
    select * from {{ ref('int_usage_readings_counted') }}
),

measures as (
    select * from {{ ref('int_usage_measures') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

service_tiers as (
    select * from {{ ref('stg_pricing__service_tiers') }}
),

sources as (
    select * from {{ ref('int_sources_reported') }}
),

named as (
    select
        usage.organization_id,
        usage.cost_date,
        usage.team_id,
        usage.project_id,
        usage.openai_project_id,
        usage.api_key_id,
        usage.currency,
        usage.quantity,
        usage.list_cost,
        usage.is_settled,
        measures.quantity_unit,
        readings.collection_id,
        readings.collected_at,
        sources.api_version = 'usage_v1' as is_reported,
        -- What is billed for sounds and letters is called input on the bill too.
        case
            when measures.token_kind in ('seconds', 'characters') then 'input'
            else measures.token_kind
        end as kind,
        nullif(measures.modality, 'text') as modality,
        case
            when usage.is_batch then 'batch'
            else nullif(service_tiers.service_tier, 'standard')
        end as surface,
        -- A bill names the model that a fine-tuned one was made of.
        case
            when names.is_fine_tuned then 'ft-' || names.base_model
            else lower(trim(usage.model))
        end as model
    from usage
    inner join changed
        on usage.organization_id = changed.organization_id and usage.cost_date = changed.cost_date
    inner join measures on usage.measure = measures.measure
    inner join names on lower(trim(usage.model)) = names.model
    inner join readings
        on
            usage.organization_id = readings.organization_id
            and usage.endpoint = readings.endpoint
            and usage.cost_date = readings.cost_date
            and usage.openai_project_id
            is not distinct from coalesce(readings.only_project_id, usage.openai_project_id)
    inner join sources
        on usage.organization_id = sources.organization_id and usage.cost_date = sources.cost_date
    left join service_tiers on usage.service_tier = service_tiers.wire_tier
    where usage.list_cost is not null
),

labelled as (
    select
        *,
        coalesce(surface || ' | ', '')
        || model
        || coalesce(' ' || modality, '')
        || ', '
        || case kind
            when 'cached_input' then 'cached input'
            when 'cache_write' then 'cache writes'
            else kind
        end as line_item
    from named
)

select
    organization_id,
    cost_date,
    team_id,
    project_id,
    openai_project_id,
    api_key_id,
    line_item,
    surface,
    model,
    modality,
    case when kind != 'images' then kind end as token_kind,
    cast(null as varchar) as context,
    cast(sum(quantity) as decimal(28, 6)) as quantity,
    min(quantity_unit) as quantity_unit,
    cast(sum(list_cost) as decimal(38, 18)) as cost,
    currency,
    'usage_v1' as api_version,
    is_reported,
    bool_and(is_settled) as is_settled,
    max(collection_id) as collection_id,
    max(collected_at) as collected_at
from labelled
group by
    organization_id,
    cost_date,
    team_id,
    project_id,
    openai_project_id,
    api_key_id,
    line_item,
    surface,
    model,
    modality,
    kind,
    currency,
    is_reported
