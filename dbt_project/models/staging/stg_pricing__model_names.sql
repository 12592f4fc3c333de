with model_names as (
    select * from {{ source('raw', 'model_names') }}
)

-- The same name in other letters is priced the same.
select
    lower(trim(model)) as model,
    any_value(price_model) as price_model,
    any_value(base_model) as base_model,
    bool_or(is_fine_tuned) as is_fine_tuned
from model_names
group by lower(trim(model))
