with teams as (
    select * from {{ source('raw', 'teams') }}
)

select
    team_id,
    team_name,
    parent_team_id,
    owner_email,
    budget_owner_email,
    cost_center,
    is_active,
    created_at,
    deactivated_at
from teams
