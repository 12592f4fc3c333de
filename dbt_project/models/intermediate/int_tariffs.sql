{{ config(materialized='table') }}

with prices as (
    select * from {{ ref('int_model_prices') }}
),

names as (
    select * from {{ ref('stg_pricing__model_names') }}
),

modalities as (
    select distinct modality
    from {{ ref('int_usage_measures') }}
    where modality is not null
)

-- A price for every modality is spelled out for each of them: who looks one up compares for
-- equality alone, and long tables are joined by hash.
select
    names.model,
    modalities.modality,
    prices.price_model,
    prices.valid_from,
    prices.valid_to,
    prices.token_kind,
    prices.modality as price_modality,
    prices.unit_price,
    prices.other_rates
from prices
inner join names on prices.price_model = names.price_model
inner join modalities on modalities.modality = coalesce(prices.modality, modalities.modality)
