{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date', 'api_version'],
    batched=true,
    remembers=true
) }}

-- depends_on: {{ ref('int_costs_changed') }}
with billed as (
    select * from {{ ref('int_costs_attributed') }}
),

used as (
    select * from {{ ref('int_usage_costed') }}
),

costs as (
    select * exclude (is_superseded)
    from billed
    where not is_superseded

    union all by name

    select * from used
)

select
    {{ surrogate_key([
        'cost_date', 'organization_id', 'openai_project_id', 'api_key_id', 'line_item', 'currency',
        'api_version',
    ]) }} as cost_id,
    cost_date,
    team_id,
    project_id,
    organization_id,
    openai_project_id,
    api_key_id,
    line_item,
    surface,
    model,
    modality,
    token_kind,
    context,
    case when cost < 0 then 'Credit' else 'Usage' end as charge_category,
    quantity,
    quantity_unit,
    cost,
    currency,
    api_version,
    is_reported,
    is_settled,
    collection_id,
    collected_at
from costs
