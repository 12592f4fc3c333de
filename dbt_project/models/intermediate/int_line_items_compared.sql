{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
)

select distinct
    costs.line_item,
    costs.surface,
    costs.model,
    costs.modality,
    costs.token_kind,
    costs.context,
    {{ is_tool('costs.line_item') }} as is_tool
from costs
inner join changed
    on costs.organization_id = changed.organization_id and costs.cost_date = changed.cost_date
where costs.api_version = 'costs_v1'
