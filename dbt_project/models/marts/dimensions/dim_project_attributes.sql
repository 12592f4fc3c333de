with project_attributes as (
    select * from {{ ref('stg_registry__project_attributes') }}
)

select
    project_id,
    project_name,
    environment,
    owner_email,
    cost_center,
    tags,
    valid_from,
    valid_to
from project_attributes
