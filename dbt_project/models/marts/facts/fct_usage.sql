{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000
) }}

-- depends_on: {{ ref('int_costs_changed') }}
with usage as (
    select * from {{ ref('int_usage_measured') }}
),

measures as (
    select * from {{ ref('int_usage_measures') }}
),

service_tiers as (
    select * from {{ ref('stg_pricing__service_tiers') }}
),

tariffs as (
    select * from {{ ref('int_tariffs') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

added_up as (
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
        cast(sum(quantity) as decimal(28, 6)) as quantity,
        cast(sum(request_count) as decimal(28, 6)) as request_count
    from usage
    group by all
),

priced as (
    select
        added_up.*,
        -- A tier that is not known is paid for in another way than by the token.
        case
            when
                coalesce(added_up.is_batch, false)
                or added_up.service_tier is null
                or service_tiers.service_tier is not null
                then {{ amount_of('added_up.quantity', 'tariffs.unit_price') }}
        end as list_cost
    from added_up
    inner join measures on added_up.measure = measures.measure
    left join service_tiers on added_up.service_tier = service_tiers.wire_tier
    left join tariffs
        on
            lower(trim(added_up.model)) = tariffs.model
            and measures.token_kind = tariffs.token_kind
            and measures.modality = tariffs.modality
            and added_up.cost_date >= tariffs.valid_from
            and added_up.cost_date < tariffs.valid_to
)

select
    {{ surrogate_key([
        'priced.cost_date', 'priced.organization_id', 'priced.openai_project_id',
        'priced.api_key_id', 'priced.user_id', 'priced.endpoint', 'priced.model',
        'priced.service_tier', 'priced.is_batch', 'priced.measure',
    ]) }} as usage_id,
    priced.cost_date,
    coalesce(project_ownership.team_id, {{ unallocated() }}) as team_id,
    coalesce(project_ownership.project_id, {{ unallocated() }}) as project_id,
    priced.organization_id,
    priced.openai_project_id,
    priced.api_key_id,
    priced.user_id,
    priced.endpoint,
    priced.model,
    priced.service_tier,
    priced.is_batch,
    priced.measure,
    priced.quantity,
    priced.request_count,
    priced.list_cost,
    case when priced.list_cost is not null then 'USD' end as currency,
    priced.is_settled
from priced
left join project_ownership
    on
        priced.openai_project_id = project_ownership.openai_project_id
        and priced.cost_date >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
        and priced.cost_date < coalesce(project_ownership.valid_to, cast('infinity' as date))
