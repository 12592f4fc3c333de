{{ config(materialized='table') }}

with placed as (
    select * from {{ ref('int_requests_placed') }}
),

buckets as (
    select * from {{ ref('int_costs_buckets') }}
),

contents as (
    select * from {{ ref('int_costs_contents') }}
),

-- Since an organization hands in its requests, all of its bill is accounted for.
first_days as (
    select
        organization_id,
        min(cost_date) as first_day
    from placed
    where organization_id is not null
    group by organization_id
)

select
    buckets.organization_id,
    buckets.cost_date,
    buckets.row_count,
    buckets.signature,
    contents.settled_from
from buckets
inner join first_days
    on
        buckets.organization_id = first_days.organization_id
        and buckets.cost_date >= first_days.first_day
inner join contents
    on
        buckets.organization_id = contents.organization_id
        and buckets.cost_date = contents.cost_date
        and contents.known_until is null
where buckets.api_version = 'costs_v1'
