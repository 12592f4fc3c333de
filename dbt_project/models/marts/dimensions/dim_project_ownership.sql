with project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
)

select
    project_id,
    team_id,
    openai_project_id,
    valid_from,
    valid_to
from project_ownership
