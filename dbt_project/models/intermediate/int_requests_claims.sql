{{ config(materialized='table') }}

with grouped as (
    select * from {{ ref('int_requests_grouped') }}
),

prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

service_tiers as (
    select distinct service_tier
    from {{ ref('stg_pricing__service_tiers') }}
),

claims as (
    select
        *,
        case
            when measure like 'cached%' then 'cached_input'
            when measure like 'input%' then 'input'
            else 'output'
        end as token_kind,
        string_split(measure, '_')[-1] as modality
    from grouped
    unpivot (
        tokens for measure in ({{ request_measures() }})
    )
    where tokens > 0
),

-- The rate of the request's own tier and context; of the ordinary ones where the book has no
-- other. A tier that is not known is paid for in another way than by the token.
rates as (
    select
        claims.group_number,
        claims.measure,
        arg_max(
            prices.unit_price,
            (
                prices.context = case when claims.is_long_context then 'long' else 'standard' end,
                prices.service_tier = coalesce(claims.tier, 'standard'),
                prices.source = 'override',
                prices.unit_price
            )
        ) as unit_price
    from claims
    inner join prices
        on
            claims.price_model = prices.price_model
            and claims.token_kind = prices.token_kind
            and claims.modality = coalesce(prices.modality, claims.modality)
            and claims.cost_date >= prices.valid_from
            and claims.cost_date < prices.valid_to
            and prices.service_tier in ('standard', coalesce(claims.tier, 'standard'))
            and (prices.context = 'standard' or coalesce(claims.is_long_context, false))
    where
        claims.tier is null
        or claims.tier in ('batch', 'standard')
        or claims.tier in (select service_tiers.service_tier from service_tiers)
    group by claims.group_number, claims.measure
)

select
    claims.group_number,
    claims.measure,
    claims.cost_date,
    claims.organization_id,
    claims.openai_project_id,
    claims.api_key_id,
    claims.billed_model,
    claims.tier,
    claims.is_batch,
    claims.is_long_context,
    claims.tells_images,
    claims.token_kind,
    claims.modality,
    claims.tokens,
    rates.unit_price,
    row_number() over (order by claims.group_number, claims.measure) as claim_number
from claims
left join rates
    on claims.group_number = rates.group_number and claims.measure = rates.measure
