with organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

legacy_sightings as (
    select * from {{ ref('int_legacy_sightings') }}
)

select distinct
    organization_id,
    organization_name
from organizations

union

-- Teams without an admin key, whose project keys name no organization.
select
    organization_id,
    null as organization_name
from legacy_sightings
where organization_id not in (select organizations.organization_id from organizations)
