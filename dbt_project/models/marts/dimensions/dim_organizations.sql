with organizations as (
    select * from {{ ref('int_organizations_resolved') }}
)

select distinct
    organization_id,
    organization_name
from organizations
