with teams as (
    select * from {{ ref('stg_registry__teams') }}
)

select
    team_id,
    team_name,
    parent_team_id,
    owner_email,
    budget_owner_email,
    cost_center,
    is_active
from teams

union all

select
    {{ unallocated() }} as team_id,
    'Unallocated' as team_name,
    null as parent_team_id,
    null as owner_email,
    null as budget_owner_email,
    null as cost_center,
    true as is_active
