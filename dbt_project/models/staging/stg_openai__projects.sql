with projects as (
    select * from {{ source('raw', 'openai_projects') }}
),

complete_loads as (
    select * from {{ ref('stg_dlt__complete_loads') }}
)

select
    team_id,
    key_fingerprint,
    project_id as openai_project_id,
    project_name as openai_project_name,
    collected_at
from projects
where _dlt_load_id in (select complete_loads.load_id from complete_loads)
