{{ config(materialized='table') }}

with contents as (
    select * from {{ ref('int_costs_contents') }}
),

costs as (
    select * from {{ ref('int_costs_landed') }}
),

usage_readings as (
    select * from {{ ref('int_usage_readings_counted') }}
),

usage as (
    select * from {{ ref('int_usage_landed') }}
),

models as (
    select * from {{ ref('int_models_priced') }}
),

service_tiers as (
    select sum(hash(wire_tier, service_tier)) as service_tiers
    from {{ ref('stg_pricing__service_tiers') }}
),

sources as (
    select * from {{ ref('int_sources_reported') }}
),

project_ownership as (
    select * from {{ ref('stg_registry__project_ownership') }}
),

content_projects as (
    select
        contents.organization_id,
        contents.cost_date,
        'costs_v1' as api_version,
        costs.openai_project_id
    from contents
    inner join costs on contents.revision_id = costs.revision_id

    union all

    select
        usage_readings.organization_id,
        usage_readings.cost_date,
        'usage_v1' as api_version,
        usage.openai_project_id
    from usage_readings
    inner join usage
        on
            usage_readings.revision_id = usage.revision_id
            and usage.openai_project_id
            is not distinct from coalesce(usage_readings.only_project_id, usage.openai_project_id)
),

-- Owners of what is in a bucket, on its day. A sum is the same in every order.
owners as (
    select
        content_projects.organization_id,
        content_projects.cost_date,
        content_projects.api_version,
        sum(
            hash(
                project_ownership.openai_project_id,
                project_ownership.project_id,
                project_ownership.team_id
            )
        ) as owners
    from content_projects
    inner join project_ownership
        on
            content_projects.openai_project_id = project_ownership.openai_project_id
            and content_projects.cost_date
            >= coalesce(project_ownership.valid_from, cast('-infinity' as date))
            and content_projects.cost_date
            < coalesce(project_ownership.valid_to, cast('infinity' as date))
    group by all
),

models_used as (
    select distinct
        usage_readings.organization_id,
        usage_readings.cost_date,
        usage.model
    from usage_readings
    inner join usage
        on
            usage_readings.revision_id = usage.revision_id
            and usage.openai_project_id
            is not distinct from coalesce(usage_readings.only_project_id, usage.openai_project_id)
),

-- What the models in a bucket cost on its day.
prices as (
    select
        models_used.organization_id,
        models_used.cost_date,
        sum(hash(models.model, models.prices)) as prices
    from models_used
    inner join models
        on
            models_used.model = models.model
            and models_used.cost_date >= models.valid_from
            and models_used.cost_date < models.valid_to
    group by all
),

buckets as (
    select
        organization_id,
        cost_date,
        'costs_v1' as api_version,
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

    union all

    select
        organization_id,
        cost_date,
        'usage_v1' as api_version,
        sum(row_count) as row_count,
        sum(
            hash(endpoint, only_project_id, revision_id, collection_id, row_count, is_settled)
        ) as contents
    from usage_readings
    group by organization_id, cost_date
)

select
    buckets.organization_id,
    buckets.cost_date,
    buckets.api_version,
    buckets.row_count,
    {{ surrogate_key([
        'buckets.contents',
        'owners.owners',
        'sources.api_version',
        "case when buckets.api_version = 'usage_v1' then prices.prices end",
        "case when buckets.api_version = 'usage_v1' then service_tiers.service_tiers end",
    ]) }} as signature
from buckets
cross join service_tiers
left join sources
    on buckets.organization_id = sources.organization_id and buckets.cost_date = sources.cost_date
left join owners
    on
        buckets.organization_id = owners.organization_id
        and buckets.cost_date = owners.cost_date
        and buckets.api_version = owners.api_version
left join prices
    on buckets.organization_id = prices.organization_id and buckets.cost_date = prices.cost_date
