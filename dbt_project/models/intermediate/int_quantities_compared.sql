{{ config(materialized='table') }}

with bills as (
    select * from {{ ref('int_bills_compared') }}
),

usage as (
    select * from {{ ref('int_usage_compared') }}
),

usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

both_sides as (
    select
        organization_id,
        cost_date,
        openai_project_id,
        price_model,
        token_kind,
        price_modality,
        quantity as billed_quantity,
        0 as used_quantity,
        list_cost as billed_at_list,
        0 as used_at_list
    from bills
    where price_model is not null

    union all

    select
        organization_id,
        cost_date,
        openai_project_id,
        price_model,
        token_kind,
        price_modality,
        0 as billed_quantity,
        quantity as used_quantity,
        0 as billed_at_list,
        list_cost as used_at_list
    from usage
),

gaps as (
    select
        organization_id,
        cost_date,
        openai_project_id,
        price_model,
        token_kind,
        price_modality,
        sum(used_quantity) as used_quantity,
        sum(billed_quantity) - sum(used_quantity) as gap,
        sum(billed_at_list) - sum(used_at_list) as amount
    from both_sides
    group by all
    having sum(billed_quantity) != sum(used_quantity)
),

-- Billed on one day and used on the next one, which is how it was seen.
moved as (
    select
        gaps.*,
        coalesce(gaps.gap > 0 and gaps.gap = -next_day.gap, false) as is_used_next_day,
        coalesce(gaps.gap < 0 and gaps.gap = -previous_day.gap, false) as is_billed_day_before,
        previous_day.gap as previous_gap,
        next_day.gap as next_gap
    from gaps
    left join gaps as previous_day
        on
            gaps.organization_id = previous_day.organization_id
            and gaps.cost_date = previous_day.cost_date + 1
            and gaps.openai_project_id is not distinct from previous_day.openai_project_id
            and gaps.price_model = previous_day.price_model
            and gaps.token_kind = previous_day.token_kind
            and gaps.price_modality is not distinct from previous_day.price_modality
    left join gaps as next_day
        on
            gaps.organization_id = next_day.organization_id
            and gaps.cost_date = next_day.cost_date - 1
            and gaps.openai_project_id is not distinct from next_day.openai_project_id
            and gaps.price_model = next_day.price_model
            and gaps.token_kind = next_day.token_kind
            and gaps.price_modality is not distinct from next_day.price_modality
),

-- The other way round, of what is left: each gap counts for one pair.
paired as (
    select
        moved.*,
        (
            moved.is_used_next_day
            or moved.is_billed_day_before
            or (
                moved.gap < 0
                and coalesce(moved.gap = -moved.next_gap, false)
                and not coalesce(next_day.is_used_next_day, false)
            )
            or (
                moved.gap > 0
                and coalesce(moved.gap = -moved.previous_gap, false)
                and not coalesce(previous_day.is_billed_day_before, false)
            )
        ) as is_moved
    from moved
    left join moved as previous_day
        on
            moved.organization_id = previous_day.organization_id
            and moved.cost_date = previous_day.cost_date + 1
            and moved.openai_project_id is not distinct from previous_day.openai_project_id
            and moved.price_model = previous_day.price_model
            and moved.token_kind = previous_day.token_kind
            and moved.price_modality is not distinct from previous_day.price_modality
    left join moved as next_day
        on
            moved.organization_id = next_day.organization_id
            and moved.cost_date = next_day.cost_date - 1
            and moved.openai_project_id is not distinct from next_day.openai_project_id
            and moved.price_model = next_day.price_model
            and moved.token_kind = next_day.token_kind
            and moved.price_modality is not distinct from next_day.price_modality
),

explained as (
    select
        paired.*,
        case
            when paired.is_moved then 'moved_across_midnight'
            when
                paired.used_quantity = 0
                and (usage_sightings.is_unsupported or usage_sightings.row_count = 0)
                then 'endpoint_without_rows'
            when paired.gap > 0 then 'billed_without_usage'
            else 'used_without_bill'
        end as cause
    from paired
    left join usage_sightings
        on
            paired.organization_id = usage_sightings.organization_id
            and paired.cost_date = usage_sightings.cost_date
            and usage_sightings.endpoint
            = {{ endpoint_of('paired.price_model', 'paired.token_kind') }}
)

select
    organization_id,
    cost_date,
    openai_project_id,
    price_model,
    token_kind,
    price_modality,
    cause,
    case
        when cause in ('moved_across_midnight', 'endpoint_without_rows')
            then 'quantity_difference'
        else 'unexplained'
    end as part,
    gap as quantity,
    amount
from explained
