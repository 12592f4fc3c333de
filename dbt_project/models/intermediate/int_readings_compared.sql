{{ config(
    materialized='changed_buckets',
    changed='int_readings_changed',
    key=['organization_id', 'cost_date'],
    rows_per_batch=1000000,
    remembers=true
) }}

with changed as (
    select * from {{ ref('int_readings_changed') }}
),

collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

readings as (
    select
        organizations.organization_id,
        collections.endpoint,
        collections.cost_date,
        collections.collection_id,
        collections.collected_at,
        collections.load_id,
        collections.revision_id,
        collections.row_count,
        collections.cost,
        collections.currency,
        collections.content_hash,
        collections.query_signature
    from collections
    inner join organizations on collections.key_fingerprint = organizations.key_fingerprint
    inner join changed
        on
            organizations.organization_id = changed.organization_id
            and collections.cost_date = changed.cost_date
    where collections.status = 'ok'
),

{{ contents_of_readings('readings', 'organization_id') }}
