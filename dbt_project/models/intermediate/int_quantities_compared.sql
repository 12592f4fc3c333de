{{ config(materialized='table') }}

with days as (
    select * from {{ ref('int_reconciliation_days') }}
),

unequal as (
    select * from {{ ref('int_quantities_unequal') }}
),

usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

gaps as (
    select unequal.*
    from unequal
    inner join days
        on unequal.organization_id = days.organization_id and unequal.cost_date = days.cost_date
),

-- Only what has too much on one day and too little on another can have moved.
both_ways as (
    select
        organization_id,
        openai_project_id,
        price_model,
        token_kind,
        price_modality
    from gaps
    group by all
    having min(gap) < 0 and max(gap) > 0
),

neighbours as (
    select
        gaps.organization_id,
        gaps.cost_date,
        gaps.openai_project_id,
        gaps.price_model,
        gaps.token_kind,
        gaps.price_modality,
        gaps.gap,
        case
            when lag(gaps.cost_date) over days = gaps.cost_date - 1 then lag(gaps.gap) over days
        end as previous_gap,
        case
            when lead(gaps.cost_date) over days = gaps.cost_date + 1 then lead(gaps.gap) over days
        end as next_gap
    from gaps
    inner join both_ways
        on
            gaps.organization_id = both_ways.organization_id
            and gaps.openai_project_id is not distinct from both_ways.openai_project_id
            and gaps.price_model = both_ways.price_model
            and gaps.token_kind = both_ways.token_kind
            and gaps.price_modality is not distinct from both_ways.price_modality
    window days as (
        partition by
            gaps.organization_id,
            gaps.openai_project_id,
            gaps.price_model,
            gaps.token_kind,
            gaps.price_modality
        order by gaps.cost_date
    )
),

-- Billed on one day and used on the next one, which is how it was seen.
moved as (
    select
        *,
        coalesce(gap > 0 and gap = -next_gap, false) as is_used_next_day,
        coalesce(gap < 0 and gap = -previous_gap, false) as is_billed_day_before
    from neighbours
),

-- The other way round, of what is left: each gap counts for one pair.
paired as (
    select
        *,
        (
            is_used_next_day
            or is_billed_day_before
            or coalesce(gap < 0 and gap = -next_gap and not lead(is_used_next_day) over days, false)
            or coalesce(
                gap > 0 and gap = -previous_gap and not lag(is_billed_day_before) over days, false
            )
        ) as is_moved
    from moved
    window days as (
        partition by
            organization_id, openai_project_id, price_model, token_kind, price_modality
        order by cost_date
    )
),

explained as (
    select
        gaps.*,
        case
            when paired.is_moved then 'moved_across_midnight'
            when
                gaps.used_quantity = 0
                and (usage_sightings.is_unsupported or usage_sightings.row_count = 0)
                then 'endpoint_without_rows'
            when gaps.gap > 0 then 'billed_without_usage'
            else 'used_without_bill'
        end as cause
    from gaps
    left join paired
        on
            gaps.organization_id = paired.organization_id
            and gaps.cost_date = paired.cost_date
            and gaps.openai_project_id is not distinct from paired.openai_project_id
            and gaps.price_model = paired.price_model
            and gaps.token_kind = paired.token_kind
            and gaps.price_modality is not distinct from paired.price_modality
    left join usage_sightings
        on
            gaps.organization_id = usage_sightings.organization_id
            and gaps.cost_date = usage_sightings.cost_date
            and usage_sightings.endpoint
            = {{ endpoint_of('gaps.price_model', 'gaps.token_kind') }}
)


select
    organization_id,
    cost_date,
    openai_project_id,
    price_model,
    token_kind,
    price_modality,
    unit_price,
    cause,
    gap as quantity,
    amount
from explained
