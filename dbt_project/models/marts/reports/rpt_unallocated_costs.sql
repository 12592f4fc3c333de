with project_daily_costs as (
    select * from {{ ref('fct_project_daily_costs') }}
),

openai_projects as (
    select * from {{ ref('int_openai_projects_named') }}
)

select
    project_daily_costs.cost_date,
    project_daily_costs.organization_id,
    project_daily_costs.openai_project_id,
    openai_projects.openai_project_name,
    project_daily_costs.currency,
    project_daily_costs.cost
from project_daily_costs
left join openai_projects
    on project_daily_costs.openai_project_id = openai_projects.openai_project_id
where project_daily_costs.team_id = {{ unallocated() }}
