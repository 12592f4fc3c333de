with scopes as (
    select * from {{ ref('int_key_scopes_seen') }}
)

-- A listing names a project as it is now; a cost row may carry the name of its day.
select
    openai_project_id,
    arg_max(
        openai_project_name, (is_listing, last_seen_at, openai_project_name)
    ) as openai_project_name
from scopes
where openai_project_id is not null and openai_project_name is not null
group by openai_project_id
