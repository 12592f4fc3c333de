{{ config(
    materialized='changed_buckets',
    changed='int_costs_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000
) }}

with changed as (
    select distinct
        organization_id,
        cost_date
    from {{ ref('int_costs_changed') }}
),

contents as (
    select * from {{ ref('int_costs_contents') }}
),

costs as (
    select * from {{ ref('int_costs_landed') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

changed_contents as (
    select
        contents.organization_id,
        contents.cost_date,
        contents.content_number,
        contents.revision_id,
        contents.known_from
    from contents
    inner join changed
        on
            contents.organization_id = changed.organization_id
            and contents.cost_date = changed.cost_date
),

amounts as (
    select
        changed_contents.organization_id,
        changed_contents.cost_date,
        changed_contents.content_number,
        costs.openai_project_id,
        costs.currency,
        sum(costs.cost) as cost
    from changed_contents
    inner join costs on changed_contents.revision_id = costs.revision_id
    group by all
),

projects as (
    select distinct
        organization_id,
        cost_date,
        openai_project_id,
        currency
    from amounts
),

-- What every reading said of every project that any of them named.
said as (
    select
        projects.organization_id,
        projects.cost_date,
        projects.openai_project_id,
        projects.currency,
        changed_contents.content_number,
        changed_contents.known_from,
        coalesce(amounts.cost, 0) as cost
    from projects
    inner join changed_contents
        on
            projects.organization_id = changed_contents.organization_id
            and projects.cost_date = changed_contents.cost_date
    left join amounts
        on
            projects.organization_id = amounts.organization_id
            and projects.cost_date = amounts.cost_date
            and projects.openai_project_id is not distinct from amounts.openai_project_id
            and projects.currency = amounts.currency
            and changed_contents.content_number = amounts.content_number
),

compared as (
    select
        *,
        lag(cost) over (
            partition by organization_id, cost_date, openai_project_id, currency
            order by content_number
        ) as previous_cost
    from said
),

restated as (
    select
        *,
        row_number() over (
            partition by organization_id, cost_date, openai_project_id, currency
            order by content_number
        ) as revision
    from compared
    where cost is distinct from previous_cost
)

select
    restated.cost_date,
    coalesce(project_ownership.team_id, {{ unallocated() }}) as team_id,
    restated.organization_id,
    restated.openai_project_id,
    restated.currency,
    restated.revision,
    restated.known_from as collected_at,
    restated.cost,
    restated.previous_cost,
    restated.cost - coalesce(restated.previous_cost, 0) as change
from restated
left join project_ownership
    on
        restated.openai_project_id = project_ownership.openai_project_id
        and restated.cost_date >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
        and restated.cost_date < coalesce(project_ownership.valid_to, cast('infinity' as date))
