with names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

prices as (
    select * from {{ ref('int_model_prices') }}
)

-- What a name means for money, period by period; of a name without a price only the name.
select
    names.model,
    prices.valid_from,
    prices.valid_to,
    sum(
        hash(
            names.price_model,
            names.base_model,
            names.is_fine_tuned,
            prices.token_kind,
            prices.modality,
            prices.unit_price,
            prices.other_rates
        )
    ) as prices
from names
inner join prices on names.price_model = prices.price_model
group by all
