{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

attempts as (
    select
        run_id,
        key_fingerprint,
        hash(collections) as entry
    from collections
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

runs as (
    select
        attempts.run_id,
        -- Loads follow one another, and a key may turn out to open another organization.
        sum(hash(attempts.entry, organizations.organization_id)) as signature
    from attempts
    left join organizations on attempts.key_fingerprint = organizations.key_fingerprint
    group by attempts.run_id
)

{{ changed_buckets('runs', key=['run_id']) }}
