{{ config(materialized='table') }}

with contents as (
    select * from {{ ref('int_costs_contents') }}
),

costs as (
    select * from {{ ref('int_costs_landed') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

-- Owners of what is in a bucket, on its day. A sum is the same in every order.
owners as (
    select
        contents.organization_id,
        contents.cost_date,
        sum(
            hash(
                project_ownership.openai_project_id,
                project_ownership.project_id,
                project_ownership.team_id
            )
        ) as owners
    from contents
    inner join costs on contents.revision_id = costs.revision_id
    inner join project_ownership
        on
            costs.openai_project_id = project_ownership.openai_project_id
            and contents.cost_date
            >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
            and contents.cost_date < coalesce(project_ownership.valid_to, cast('infinity' as date))
    group by all
),

buckets as (
    select
        organization_id,
        cost_date,
        sum(row_count) as row_count,
        sum(
            hash(
                content_number,
                revision_id,
                collection_id,
                row_count,
                cost,
                currency,
                settled_from is not null
            )
        ) as contents
    from contents
    group by organization_id, cost_date
)

select
    buckets.organization_id,
    buckets.cost_date,
    'costs_v1' as api_version,
    buckets.row_count,
    {{ surrogate_key(['buckets.contents', 'owners.owners']) }} as signature
from buckets
left join owners
    on buckets.organization_id = owners.organization_id and buckets.cost_date = owners.cost_date
