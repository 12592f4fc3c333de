with team_attributes as (
    select * from {{ ref('stg_registry__team_attributes') }}
)

select
    team_id,
    team_name,
    parent_team_id,
    owner_email,
    budget_owner_email,
    cost_center,
    valid_from,
    valid_to
from team_attributes
