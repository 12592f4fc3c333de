{{ config(materialized='table') }}

with landed as (
    select * from {{ ref('int_requests_landed') }}
),

repeated as (
    select * from {{ ref('int_requests_repeated') }}
),

placed as (
    select * from {{ ref('int_requests_placed') }}
),

bills as (
    select * from {{ ref('int_bills_logged') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

service_tiers as (
    select sum(hash(wire_tier, service_tier)) as service_tiers
    from {{ ref('stg_pricing__service_tiers') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

models_logged as (
    select distinct
        cost_date,
        model
    from landed
),

-- What a day's rows follow from. A sum is the same in every order.
causes as (
    select
        cost_date,
        sum(row_count) as row_count,
        sum(hash(load_id, openai_project_id, api_key_id, model, row_count)) as contents
    from landed
    group by cost_date

    union all

    select
        cost_date,
        0 as row_count,
        sum(
            hash(
                logged_project_id,
                api_key_id,
                openai_project_id,
                organization_id,
                team_id,
                project_id
            )
        ) as contents
    from placed
    group by cost_date

    union all

    select
        cost_date,
        0 as row_count,
        sum(hash(request_id, file_id, line_number, told_in, load_id)) as contents
    from repeated
    group by cost_date

    union all

    select
        cost_date,
        sum(row_count) as row_count,
        sum(hash(organization_id, signature, settled_from)) as contents
    from bills
    group by cost_date

    union all

    select
        models_logged.cost_date,
        0 as row_count,
        sum(
            hash(
                names.model,
                names.base_model,
                names.is_fine_tuned,
                prices.price_model,
                prices.service_tier,
                prices.context,
                prices.long_context_from,
                prices.modality,
                prices.token_kind,
                prices.unit_price,
                prices.source
            )
        ) as contents
    from models_logged
    inner join names on models_logged.model = names.model
    left join prices
        on
            names.price_model = prices.price_model
            and models_logged.cost_date >= prices.valid_from
            and models_logged.cost_date < prices.valid_to
    group by models_logged.cost_date
),

days as (
    select
        cost_date,
        sum(row_count) as row_count,
        sum(contents) as contents
    from causes
    group by cost_date
)

select
    days.cost_date,
    days.row_count,
    {{ surrogate_key([
        'days.contents', 'service_tiers.service_tiers', 'build_settings.request_tolerance',
    ]) }} as signature
from days
cross join service_tiers
left join build_settings on true
