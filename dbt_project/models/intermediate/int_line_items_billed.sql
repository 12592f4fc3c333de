{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_costs_changed') }}
),

contents as (
    select * from {{ ref('int_costs_contents') }}
),

costs as (
    select * from {{ ref('stg_openai__costs') }}
),

changed_revisions as (
    select
        contents.revision_id,
        contents.cost_date
    from contents
    inner join changed
        on
            contents.organization_id = changed.organization_id
            and contents.cost_date = changed.cost_date
)

select distinct costs.line_item
from costs
inner join changed_revisions
    on
        costs.revision_id = changed_revisions.revision_id
        and costs.cost_date = changed_revisions.cost_date
where costs.line_item is not null
