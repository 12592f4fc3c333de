with projects as (
    select * from {{ source('raw', 'projects') }}
)

select
    project_id,
    project_name,
    openai_project_id,
    environment,
    owner_email,
    cost_center,
    is_active,
    created_at,
    cast(tags as json) as tags
from projects
