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
        collections.query_signature,
        row_number() over in_time as reading_number,
        lag(collections.content_hash) over in_time as previous_hash,
        lag(collections.query_signature) over in_time as previous_signature
    from collections
    inner join organizations on collections.key_fingerprint = organizations.key_fingerprint
    where collections.status = 'ok'
    window in_time as (
        partition by organizations.organization_id, collections.endpoint, collections.cost_date
        order by collections.collected_at, collections.load_id, collections.collection_id
    )
),

compared as (
    select
        *,
        (
            reading_number = 1
            or (content_hash is distinct from previous_hash)
            or (query_signature is distinct from previous_signature)
        ) as is_other_content
    from readings
),

-- A, B, A again are three contents.
numbered as (
    select
        *,
        count(*) filter (where is_other_content) over up_to_here as content_number,
        max(collected_at) filter (where is_other_content) over up_to_here as known_from
    from compared
    window up_to_here as (
        partition by organization_id, endpoint, cost_date
        order by reading_number
        rows unbounded preceding
    )
),

contents as (
    select
        numbered.organization_id,
        numbered.endpoint,
        numbered.cost_date,
        numbered.content_number,
        numbered.known_from,
        max(numbered.collected_at) as newest_ok_at,
        -- Settled by the first reading that came late enough after the day, and after the change.
        -- A first reading is no change.
        min(numbered.collected_at) filter (
            where numbered.collected_at >= greatest(
                {{ day_end('numbered.cost_date') }},
                case when numbered.content_number > 1 then numbered.known_from end
            ) + {{ days_long('build_settings.settle_days') }}
        ) as settled_from,
        -- Of the first reading, so that another reading of the same content changes nothing.
        any_value(numbered.collection_id) filter (where numbered.is_other_content)
            as collection_id,
        any_value(numbered.revision_id) filter (where numbered.is_other_content) as revision_id,
        any_value(numbered.row_count) filter (where numbered.is_other_content) as row_count,
        any_value(numbered.cost) filter (where numbered.is_other_content) as cost,
        any_value(numbered.currency) filter (where numbered.is_other_content) as currency
    from numbered
    left join build_settings on true
    group by
        numbered.organization_id,
        numbered.endpoint,
        numbered.cost_date,
        numbered.content_number,
        numbered.known_from
)

select
    *,
    lead(known_from) over (
        partition by organization_id, endpoint, cost_date
        order by content_number
    ) as known_until
from contents
