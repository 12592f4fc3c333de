{{ config(materialized='table') }}

with days as (
    select * from {{ ref('int_reconciliation_days') }}
),

usage as (
    select * from {{ ref('fct_usage') }}
),

measures as (
    select * from {{ ref('int_usage_measures') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

prices as (
    select * from {{ ref('int_model_prices') }}
)

select
    usage.organization_id,
    usage.cost_date,
    usage.openai_project_id,
    prices.price_model,
    prices.token_kind,
    prices.modality as price_modality,
    prices.unit_price,
    sum(usage.quantity) as quantity,
    sum(usage.list_cost) as list_cost
from days
inner join usage
    on days.organization_id = usage.organization_id and days.cost_date = usage.cost_date
inner join measures on usage.measure = measures.measure
inner join names on lower(trim(usage.model)) = names.model
inner join prices
    on
        names.price_model = prices.price_model
        and measures.token_kind = prices.token_kind
        and measures.modality = coalesce(prices.modality, measures.modality)
        and usage.cost_date >= prices.valid_from
        and usage.cost_date < prices.valid_to
where usage.list_cost is not null
group by all
