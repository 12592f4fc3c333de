with keys as (
    select * from {{ source('raw', 'keys') }}
)

select
    key_id,
    team_id,
    key_type,
    project_id,
    fingerprint as key_fingerprint,
    organization_id,
    is_active,
    created_at,
    deactivated_at
from keys
