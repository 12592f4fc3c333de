with reconciliation as (
    select * from {{ ref('fct_reconciliation') }}
),

months as (
    select
        cast(date_trunc('month', cost_date) as date) as month,
        team_id,
        currency,
        sum(costs_v1) as costs_v1,
        sum(usage_v1) as usage_v1,
        sum(case when status = 'matched' then costs_v1 else 0 end) as matched_cost,
        sum(case when status = 'explained' then costs_v1 else 0 end) as explained_cost
    from reconciliation
    group by all
)

select
    month,
    team_id,
    currency,
    cast(costs_v1 as decimal(38, 18)) as costs_v1,
    cast(usage_v1 as decimal(38, 18)) as usage_v1,
    cast(matched_cost as decimal(38, 18)) as matched_cost,
    cast(explained_cost as decimal(38, 18)) as explained_cost,
    cast(costs_v1 - matched_cost - explained_cost as decimal(38, 18)) as open_cost,
    case
        when costs_v1 != 0
            then cast(matched_cost + explained_cost as double) / cast(costs_v1 as double)
    end as coverage_ratio
from months
