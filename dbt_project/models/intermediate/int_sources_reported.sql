{{ config(materialized='table') }}

with costs as (
    select * from {{ ref('int_costs_sightings') }}
),

usage as (
    select * from {{ ref('int_usage_sightings') }}
),

legacy_usage as (
    select * from {{ ref('int_legacy_sightings') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

told_usage as (
    select
        organization_id,
        cost_date,
        endpoint,
        is_read,
        is_whole_day,
        is_settled
    from usage
    where endpoint in {{ model_endpoints() }}

    union all

    -- Projects without a key are missing in it, so it is never the whole day.
    select
        organization_id,
        cost_date,
        null as endpoint,
        true as is_read,
        false as is_whole_day,
        is_settled
    from legacy_usage
),

-- Usage tells a day once every endpoint about models has told it. A collection that broke off
-- between two of them left some unasked.
usage_days as (
    select
        organization_id,
        cost_date,
        bool_or(is_read)
        and bool_and(is_whole_day)
        and count(distinct endpoint) = {{ model_endpoints().count("'") // 2 }} as is_whole_day,
        bool_and(is_settled) as is_settled
    from told_usage
    group by organization_id, cost_date
),

days as (
    select
        coalesce(costs.organization_id, usage_days.organization_id) as organization_id,
        coalesce(costs.cost_date, usage_days.cost_date) as cost_date,
        costs.organization_id is not null as has_costs,
        coalesce(costs.is_whole_day, false) as has_whole_costs,
        coalesce(costs.is_settled, false) as has_settled_costs,
        coalesce(usage_days.is_whole_day, false) as has_whole_usage,
        coalesce(usage_days.is_settled, false) as has_settled_usage
    from costs
    full outer join usage_days
        on
            costs.organization_id = usage_days.organization_id
            and costs.cost_date = usage_days.cost_date
),

chosen as (
    select
        days.*,
        case
            when build_settings.cost_source = 'usage_v1' and days.has_whole_usage then 'usage_v1'
            when days.has_whole_costs then 'costs_v1'
            when days.has_whole_usage then 'usage_v1'
            when days.has_costs then 'costs_v1'
            else 'usage_v1'
        end as api_version
    from days
    left join build_settings on true
)

select
    organization_id,
    cost_date,
    api_version,
    case when api_version = 'costs_v1' then has_whole_costs else has_whole_usage end
        as is_whole_day,
    case when api_version = 'costs_v1' then has_settled_costs else has_settled_usage end
        as is_settled
from chosen
