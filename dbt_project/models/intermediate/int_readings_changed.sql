{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

days as (
    select
        organizations.organization_id,
        collections.cost_date,
        count(*) as row_count,
        -- An entry of the ledger is never changed.
        sum(hash(collections.collection_id)) as readings
    from collections
    inner join organizations on collections.key_fingerprint = organizations.key_fingerprint
    where collections.status = 'ok'
    group by organizations.organization_id, collections.cost_date
),

buckets as (
    select
        days.organization_id,
        days.cost_date,
        days.row_count,
        hash(days.readings, build_settings.settle_days) as signature
    from days
    left join build_settings on true
)

{{ changed_buckets('buckets', key=['organization_id', 'cost_date']) }}
