with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
)

select
    collections.collection_id,
    collections.run_id,
    collections.team_id,
    organizations.organization_id,
    collections.endpoint,
    collections.cost_date,
    collections.collected_at,
    collections.status,
    collections.content_hash,
    collections.row_count,
    collections.cost
from collections
left join organizations on collections.key_fingerprint = organizations.key_fingerprint
