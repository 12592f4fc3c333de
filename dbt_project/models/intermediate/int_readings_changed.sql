{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

readings as (
    select
        key_fingerprint,
        cost_date,
        -- All that an entry says: one that was tampered with has to fail its tests.
        hash(collections) as entry
    from collections
    where status = 'ok'
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
        readings.cost_date,
        count(*) as row_count,
        sum(readings.entry) as entries
    from readings
    inner join organizations on readings.key_fingerprint = organizations.key_fingerprint
    group by organizations.organization_id, readings.cost_date
),

buckets as (
    select
        days.organization_id,
        days.cost_date,
        days.row_count,
        hash(days.entries, build_settings.settle_days) as signature
    from days
    left join build_settings on true
)

{{ changed_buckets('buckets', key=['organization_id', 'cost_date']) }}
