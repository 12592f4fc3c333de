with model_prices as (
    select * from {{ source('raw', 'model_prices') }}
)

select
    price_model,
    service_tier,
    context,
    long_context_from,
    modality,
    token_kind,
    unit_price,
    source,
    coalesce(valid_from, cast('-infinity' as date)) as valid_from,
    coalesce(valid_to, cast('infinity' as date)) as valid_to
from model_prices
