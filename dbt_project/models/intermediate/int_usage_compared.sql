{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

usage as (
    select * from {{ ref('fct_usage') }}
),

measures as (
    select * from {{ ref('int_usage_measures') }}
),

tariffs as (
    select * from {{ ref('int_tariffs') }}
)

select
    usage.organization_id,
    usage.cost_date,
    usage.openai_project_id,
    tariffs.price_model,
    tariffs.token_kind,
    tariffs.price_modality,
    tariffs.unit_price,
    sum(usage.quantity) as quantity,
    sum(usage.list_cost) as list_cost
from changed
inner join usage
    on changed.organization_id = usage.organization_id and changed.cost_date = usage.cost_date
inner join measures on usage.measure = measures.measure
inner join tariffs
    on
        lower(trim(usage.model)) = tariffs.model
        and measures.token_kind = tariffs.token_kind
        and measures.modality = tariffs.modality
        and usage.cost_date >= tariffs.valid_from
        and usage.cost_date < tariffs.valid_to
where usage.list_cost is not null
group by all
