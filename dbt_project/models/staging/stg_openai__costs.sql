with costs as (
    select * from {{ source('raw', 'costs') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    revision_id,
    cost_date,
    organization_id,
    organization_name,
    project_id as openai_project_id,
    project_name as openai_project_name,
    api_key_id,
    line_item,
    quantity,
    quantity_unit,
    -- A row without an amount bills nothing.
    coalesce(amount, 0) as cost,
    -- OpenAI bills in US dollars; an amount that names no currency is one of those.
    coalesce(upper(currency), 'USD') as currency,
    _dlt_load_id as load_id
from costs
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
