with costs as (
    select * from {{ ref('int_costs_added_up') }}
),

line_items as (
    select * from {{ ref('int_line_items_parsed') }}
),

sources as (
    select * from {{ ref('int_sources_reported') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
)

select
    costs.organization_id,
    costs.cost_date,
    costs.openai_project_id,
    costs.api_key_id,
    costs.line_item,
    line_items.surface,
    line_items.model,
    line_items.modality,
    line_items.token_kind,
    line_items.context,
    costs.quantity,
    costs.quantity_unit,
    costs.cost,
    costs.currency,
    costs.is_superseded,
    costs.is_settled,
    costs.collection_id,
    costs.collected_at,
    'costs_v1' as api_version,
    coalesce(sources.api_version = 'costs_v1', false) as is_reported,
    coalesce(project_ownership.team_id, {{ unallocated() }}) as team_id,
    coalesce(project_ownership.project_id, {{ unallocated() }}) as project_id
from costs
left join line_items on costs.line_item = line_items.line_item
left join sources
    on costs.organization_id = sources.organization_id and costs.cost_date = sources.cost_date
left join project_ownership
    on
        costs.openai_project_id = project_ownership.openai_project_id
        and costs.cost_date >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
        and costs.cost_date < coalesce(project_ownership.valid_to, cast('infinity' as date))
