with project_daily_costs as (
    select * from {{ ref('fct_project_daily_costs') }}
)

select
    cost_date,
    team_id,
    currency,
    sum(cost) as cost,
    case when min(cost_source) = max(cost_source) then min(cost_source) else 'mixed' end
        as cost_source,
    count(distinct project_id) as project_count,
    bool_and(is_settled) as is_settled
from project_daily_costs
group by all
