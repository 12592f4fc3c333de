with project_attributes as (
    select * from {{ source('raw', 'project_attributes') }}
)

select
    project_id,
    project_name,
    environment,
    owner_email,
    cost_center,
    valid_from,
    valid_to,
    cast(tags as json) as tags
from project_attributes
