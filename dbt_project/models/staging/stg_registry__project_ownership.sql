with project_ownership as (
    select * from {{ source('raw', 'project_ownership') }}
)

select
    project_id,
    team_id,
    openai_project_id,
    valid_from,
    valid_to
from project_ownership
