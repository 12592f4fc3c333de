{{ config(materialized='table') }}

with buckets as (
    select * from {{ ref('int_costs_buckets') }}
),

models_named as (
    select * from {{ ref('int_models_named') }}
),

usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

models as (
    select * from {{ ref('int_models_priced') }}
),

complimentary_tokens as (
    select * from {{ ref('stg_pricing__complimentary_tokens') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

prices as (
    select
        models_named.organization_id,
        models_named.cost_date,
        sum(hash(models.model, models.prices)) as prices
    from models_named
    inner join models
        on
            models_named.model = models.model
            and models_named.cost_date >= models.valid_from
            and models_named.cost_date < models.valid_to
    group by all
),

endpoints as (
    select
        organization_id,
        cost_date,
        sum(hash(endpoint, is_read, is_unsupported, row_count, is_settled)) as endpoints
    from usage_sightings
    group by organization_id, cost_date
),

declared as (
    select
        buckets.organization_id,
        buckets.cost_date,
        sum(
            hash(
                complimentary_tokens.declaration_number,
                complimentary_tokens.price_model,
                complimentary_tokens.tokens_a_day
            )
        ) as declarations
    from buckets
    inner join complimentary_tokens
        on
            buckets.organization_id = complimentary_tokens.organization_id
            and buckets.cost_date >= complimentary_tokens.valid_from
            and buckets.cost_date < complimentary_tokens.valid_to
    group by buckets.organization_id, buckets.cost_date
),

read_days as (
    select
        organization_id,
        cost_date,
        sum(row_count) as row_count,
        sum(hash(api_version, signature)) as contents
    from buckets
    group by organization_id, cost_date
),

days as (
    select
        read_days.organization_id,
        read_days.cost_date,
        read_days.row_count,
        hash(
            read_days.contents, prices.prices, endpoints.endpoints, declared.declarations
        ) as contents
    from read_days
    left join prices
        on
            read_days.organization_id = prices.organization_id
            and read_days.cost_date = prices.cost_date
    left join endpoints
        on
            read_days.organization_id = endpoints.organization_id
            and read_days.cost_date = endpoints.cost_date
    left join declared
        on
            read_days.organization_id = declared.organization_id
            and read_days.cost_date = declared.cost_date
),

distances as (
    select unnest([-2, -1, 0, 1, 2]) as distance
),

-- What may have moved across midnight shows on the days beside.
nearby_days as (
    select
        days.organization_id,
        days.cost_date - distances.distance as cost_date,
        hash(distances.distance, days.contents) as contents
    from days
    cross join distances
),

surroundings as (
    select
        days.organization_id,
        days.cost_date,
        days.row_count,
        sum(nearby_days.contents) as contents
    from days
    inner join nearby_days
        on
            days.organization_id = nearby_days.organization_id
            and days.cost_date = nearby_days.cost_date
    group by all
)

select
    surroundings.organization_id,
    surroundings.cost_date,
    surroundings.row_count,
    {{ surrogate_key([
        'surroundings.contents', 'build_settings.tolerance', 'build_settings.tolerance_floor',
    ]) }} as signature
from surroundings
left join build_settings on true
