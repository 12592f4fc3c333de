with costs as (
    select * from {{ ref('fct_costs') }}
)

select
    cost_date,
    team_id,
    project_id,
    organization_id,
    openai_project_id,
    currency,
    sum(cost) as cost,
    case when min(api_version) = max(api_version) then min(api_version) else 'mixed' end
        as cost_source,
    bool_and(is_settled) as is_settled
from costs
where is_reported
group by all
