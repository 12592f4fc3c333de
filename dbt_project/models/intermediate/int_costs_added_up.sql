with changed as (
    select * from {{ ref('int_costs_changed') }}
),

contents as (
    select * from {{ ref('int_costs_contents') }}
),

costs as (
    select * from {{ ref('stg_openai__costs') }}
)

select
    contents.organization_id,
    contents.cost_date,
    costs.openai_project_id,
    costs.api_key_id,
    costs.line_item,
    costs.currency,
    contents.known_until is not null as is_superseded,
    contents.settled_from is not null as is_settled,
    contents.collection_id,
    contents.known_from as collected_at,
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
from contents
inner join changed
    on
        contents.organization_id = changed.organization_id
        and contents.cost_date = changed.cost_date
        and changed.api_version = 'costs_v1'
inner join costs
    on contents.revision_id = costs.revision_id and contents.cost_date = costs.cost_date
group by all
