{{ config(materialized='table') }}

with contents as (
    select * from {{ ref('int_costs_contents') }}
)

select
    organization_id,
    cost_date,
    revision_id,
    row_count,
    cost,
    currency,
    newest_ok_at,
    collection_id,
    known_from as collected_at,
    newest_ok_at >= {{ day_end('cost_date') }} as is_whole_day,
    settled_from is not null as is_settled
from contents
where known_until is null
