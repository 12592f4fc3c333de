{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

runs as (
    select
        collections.run_id,
        -- Loads follow one another, and a key may turn out to open another organization.
        sum(hash(collections.collection_id, organizations.organization_id)) as signature
    from collections
    left join organizations on collections.key_fingerprint = organizations.key_fingerprint
    group by collections.run_id
)

{{ changed_buckets('runs', key=['run_id']) }}
