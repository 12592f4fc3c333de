{{ config(
    materialized='changed_buckets',
    changed='int_reconciliation_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000
) }}

with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

bills as (
    select * from {{ ref('int_bills_compared') }}
),

quantities as (
    select * from {{ ref('int_quantities_explained') }}
),

parts as (
    select
        organization_id,
        cost_date,
        openai_project_id,
        line_item as item,
        part,
        cause,
        quantity,
        amount
    from bills
    where amount != 0

    union all

    select
        organization_id,
        cost_date,
        openai_project_id,
        price_model || coalesce(' ' || price_modality, '') || ', ' || token_kind as item,
        part,
        cause,
        quantity,
        amount
    from quantities
)

select
    parts.cost_date,
    parts.organization_id,
    parts.openai_project_id,
    parts.part,
    parts.cause,
    parts.item,
    cast(sum(parts.quantity) as decimal(28, 6)) as quantity,
    cast(sum(parts.amount) as decimal(38, 18)) as amount,
    -- Two wrong amounts of one line, one too high and one too low, are two wrong amounts.
    cast(sum(abs(parts.amount)) as decimal(38, 18)) as absolute_amount
from parts
inner join changed
    on parts.organization_id = changed.organization_id and parts.cost_date = changed.cost_date
group by all
