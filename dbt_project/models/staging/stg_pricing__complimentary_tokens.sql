with complimentary_tokens as (
    select * from {{ source('raw', 'complimentary_tokens') }}
)

select
    declaration_number,
    organization_id,
    price_model,
    tokens_a_day,
    coalesce(valid_from, cast('-infinity' as date)) as valid_from,
    coalesce(valid_to, cast('infinity' as date)) as valid_to
from complimentary_tokens
