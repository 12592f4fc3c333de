{{ config(materialized='table') }}

with prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

boundaries as (
    select
        price_model,
        valid_from as boundary
    from prices

    union

    select
        price_model,
        valid_to as boundary
    from prices
),

-- Between two neighbouring boundaries of a model nothing of it changes.
periods as (
    select
        price_model,
        boundary as valid_from,
        lead(boundary) over (partition by price_model order by boundary) as valid_to
    from boundaries
),

in_force as (
    select
        periods.price_model,
        periods.valid_from,
        periods.valid_to,
        prices.token_kind,
        prices.modality,
        prices.unit_price,
        prices.source,
        prices.service_tier = 'standard' and prices.context = 'standard' as is_standard,
        case
            when prices.source = 'override' then 'override_rate'
            when prices.context = 'long' then 'long_context_rate'
            else prices.service_tier || '_rate'
        end as rate
    from periods
    inner join prices
        on
            periods.price_model = prices.price_model
            and periods.valid_from >= prices.valid_from
            and periods.valid_to <= prices.valid_to
),

-- What the list does not have costs what was agreed.
standard as (
    select *
    from in_force
    where
        is_standard
        and not (
            source = 'override'
            and exists (
                select 1
                from in_force as listed
                where
                    listed.is_standard
                    and listed.source = 'list'
                    and listed.price_model = in_force.price_model
                    and listed.valid_from = in_force.valid_from
                    and listed.token_kind = in_force.token_kind
                    and coalesce(listed.modality, in_force.modality, '')
                    = coalesce(in_force.modality, listed.modality, '')
            )
        )
)

select
    standard.price_model,
    standard.valid_from,
    standard.valid_to,
    standard.token_kind,
    standard.modality,
    standard.unit_price,
    coalesce(
        list(
            struct_pack(rate := any_rate.rate, unit_price := any_rate.unit_price)
            order by any_rate.rate, any_rate.unit_price
        ) filter (where any_rate.unit_price != standard.unit_price),
        []
    ) as other_rates
from standard
left join in_force as any_rate
    on
        standard.price_model = any_rate.price_model
        and standard.valid_from = any_rate.valid_from
        and standard.token_kind = any_rate.token_kind
        and (
            standard.modality is null
            or any_rate.modality is null
            or standard.modality = any_rate.modality
        )
group by all
