with service_tiers as (
    select * from {{ source('raw', 'service_tiers') }}
)

select
    wire_tier,
    service_tier
from service_tiers
