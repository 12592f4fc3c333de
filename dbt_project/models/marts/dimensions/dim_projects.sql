with projects as (
    select * from {{ ref('stg_registry__projects') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

openai_projects as (
    select * from {{ ref('int_openai_projects_named') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

-- Today's owner; of a project that nobody owns today, the last one.
started as (
    select
        project_ownership.project_id,
        project_ownership.team_id,
        coalesce(project_ownership.valid_from, cast('-infinity' as date)) as started_on
    from project_ownership
    inner join build_settings
        on
            coalesce(project_ownership.valid_from, cast('-infinity' as date))
            <= {{ utc_date('build_settings.built_at') }}
),

owners as (
    select
        project_id,
        arg_max(team_id, started_on) as team_id
    from started
    group by project_id
)

select
    projects.project_id,
    projects.project_name,
    owners.team_id,
    projects.openai_project_id,
    openai_projects.openai_project_name,
    projects.environment,
    projects.owner_email,
    projects.cost_center,
    projects.tags,
    projects.is_active
from projects
left join owners on projects.project_id = owners.project_id
left join openai_projects on projects.openai_project_id = openai_projects.openai_project_id

union all

select
    {{ unallocated() }} as project_id,
    'Unallocated' as project_name,
    {{ unallocated() }} as team_id,
    null as openai_project_id,
    null as openai_project_name,
    null as environment,
    null as owner_email,
    null as cost_center,
    null as tags,
    true as is_active
