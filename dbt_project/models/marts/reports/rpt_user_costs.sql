{{ config(
    materialized='changed_buckets',
    changed='int_requests_changed',
    key=['cost_date'],
    rows_per_batch=1000000
) }}

-- depends_on: {{ ref('int_requests_changed') }}
with requests as (
    select * from {{ ref('fct_request_costs') }}
),

changed as (
    select * from {{ ref('int_requests_changed') }}
)

select
    cost_date,
    team_id,
    project_id,
    user_id,
    currency,
    count(*) as request_count,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(calculated_cost) as decimal(38, 18)) as calculated_cost,
    cast(sum(billed_cost) as decimal(38, 18)) as billed_cost
from requests
where
    request_id is not null
    and cost_date in (select changed.cost_date from changed)
group by all
