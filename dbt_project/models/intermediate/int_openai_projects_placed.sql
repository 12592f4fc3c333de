with scopes as (
    select * from {{ ref('int_key_scopes_seen') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
)

select
    scopes.openai_project_id,
    arg_min(
        organizations.organization_id, (scopes.is_listing, organizations.organization_id)
    ) as organization_id
from scopes
inner join organizations on scopes.key_fingerprint = organizations.key_fingerprint
where scopes.openai_project_id is not null
group by scopes.openai_project_id
