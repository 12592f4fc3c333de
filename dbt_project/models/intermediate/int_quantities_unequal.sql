{{ config(
    materialized='changed_buckets',
    changed='int_reconciliation_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000
) }}

-- depends_on: {{ ref('int_reconciliation_changed') }}
with bills as (
    select * from {{ ref('int_bills_compared') }}
),

usage as (
    select * from {{ ref('int_usage_compared') }}
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
        0 as used_at_list,
        null as unit_price
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
        list_cost as used_at_list,
        unit_price
    from usage
)

select
    organization_id,
    cost_date,
    openai_project_id,
    price_model,
    token_kind,
    price_modality,
    max(unit_price) as unit_price,
    sum(used_quantity) as used_quantity,
    sum(billed_quantity) - sum(used_quantity) as gap,
    sum(billed_at_list) - sum(used_at_list) as amount
from both_sides
group by all
having sum(billed_quantity) != sum(used_quantity)
