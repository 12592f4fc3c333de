{{ config(
    materialized='changed_buckets',
    changed='int_loads_changed',
    key=['load_id']
) }}

with loads as (
    select * from {{ ref('int_loads_changed') }}
),

requests as (
    select * from {{ ref('stg_requests__requests') }}
)

select
    requests.load_id,
    requests.cost_date,
    requests.openai_project_id,
    requests.api_key_id,
    lower(trim(requests.model)) as model,
    count(*) as row_count
from loads
inner join requests on loads.load_id = requests.load_id
group by all
