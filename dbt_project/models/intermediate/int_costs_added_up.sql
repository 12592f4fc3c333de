with sightings as (
    select * from {{ ref('int_costs_sightings') }}
),

costs as (
    select * from {{ ref('stg_openai__costs') }}
)

select
    sightings.organization_id,
    sightings.cost_date,
    costs.openai_project_id,
    costs.api_key_id,
    costs.line_item,
    costs.currency,
    sightings.is_settled,
    sightings.collection_id,
    sightings.collected_at,
    sum(costs.cost) as cost,
    -- Tokens and seconds do not add up, and part of a quantity is not the quantity.
    case
        when
            count(costs.quantity) = count(*)
            and (
                count(costs.quantity_unit) = 0
                or (
                    count(costs.quantity_unit) = count(*)
                    and min(costs.quantity_unit) = max(costs.quantity_unit)
                )
            )
            then cast(sum(costs.quantity) as decimal(28, 6))
    end as quantity,
    case
        when
            count(costs.quantity_unit) = count(*)
            and min(costs.quantity_unit) = max(costs.quantity_unit)
            then min(costs.quantity_unit)
    end as quantity_unit
from sightings
inner join costs on sightings.revision_id = costs.revision_id
group by all
