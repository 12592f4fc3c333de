with keys as (
    select * from {{ ref('stg_registry__keys') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
)

select
    keys.team_id,
    arg_max(
        organizations.organization_id,
        (keys.is_active, keys.created_at, organizations.organization_id)
    ) as organization_id
from keys
inner join organizations on keys.key_fingerprint = organizations.key_fingerprint
where keys.key_type = 'admin'
group by keys.team_id
