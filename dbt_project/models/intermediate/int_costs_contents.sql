with contents as (
    select * from {{ ref('int_readings_compared') }}
)

select
    organization_id,
    cost_date,
    content_number,
    known_from,
    newest_ok_at,
    settled_from,
    collection_id,
    revision_id,
    row_count,
    cost,
    currency,
    known_until
from contents
where endpoint = 'costs'
