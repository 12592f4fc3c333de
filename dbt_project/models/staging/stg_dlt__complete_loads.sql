with loads as (
    select * from {{ source('raw', '_dlt_loads') }}
)

select distinct load_id
from loads
where status = 0
