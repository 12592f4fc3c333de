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
        collections.cost_date,
        collections.collection_id,
        collections.collected_at,
        collections.revision_id,
        collections.content_hash,
        collections.query_signature,
        collections.row_count,
        collections.cost,
        collections.currency,
        row_number() over newest_first as recency
    from collections
    inner join organizations on collections.key_fingerprint = organizations.key_fingerprint
    where collections.endpoint = 'costs' and collections.status = 'ok'
    window newest_first as (
        partition by organizations.organization_id, collections.cost_date
        order by
            collections.collected_at desc,
            collections.load_id desc,
            collections.collection_id desc
    )
),

newest as (
    select * from readings
    where recency = 1
),

-- How far back the current content was read without interruption: A, B, A again began at the
-- second A.
unchanged as (
    select
        readings.organization_id,
        readings.cost_date,
        max(readings.recency) as reading_count,
        coalesce(
            min(readings.recency) filter (
                where readings.content_hash is distinct from newest.content_hash
                or readings.query_signature is distinct from newest.query_signature
            ) - 1,
            max(readings.recency)
        ) as reading_count_unchanged
    from readings
    inner join newest
        on
            readings.organization_id = newest.organization_id
            and readings.cost_date = newest.cost_date
    group by readings.organization_id, readings.cost_date
)

select
    newest.organization_id,
    newest.cost_date,
    newest.revision_id,
    newest.row_count,
    newest.cost,
    newest.currency,
    newest.collected_at as newest_ok_at,
    first_of_content.collection_id,
    first_of_content.collected_at,
    newest.collected_at >= {{ day_end('newest.cost_date') }} as is_whole_day,
    coalesce(
        newest.collected_at
        >= {{ day_end('newest.cost_date') }} + {{ days_long('build_settings.settle_days') }}
        and (
            unchanged.reading_count_unchanged = unchanged.reading_count
            or newest.collected_at
            >= first_of_content.collected_at + {{ days_long('build_settings.settle_days') }}
        ),
        false
    ) as is_settled
from newest
inner join unchanged
    on
        newest.organization_id = unchanged.organization_id
        and newest.cost_date = unchanged.cost_date
inner join readings as first_of_content
    on
        unchanged.organization_id = first_of_content.organization_id
        and unchanged.cost_date = first_of_content.cost_date
        and unchanged.reading_count_unchanged = first_of_content.recency
left join build_settings on true
