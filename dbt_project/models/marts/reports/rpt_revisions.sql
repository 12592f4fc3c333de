with contents as (
    select * from {{ ref('int_costs_contents') }}
)

select
    organization_id,
    cost_date,
    content_number as revision,
    collection_id,
    known_from,
    known_until,
    settled_from,
    row_count,
    cost,
    currency
from contents
