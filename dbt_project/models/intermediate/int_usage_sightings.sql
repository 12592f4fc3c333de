{{ config(materialized='table') }}

with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

contents as (
    select * from {{ ref('int_readings_compared') }}
),

attempted as (
    select
        organizations.organization_id,
        collections.endpoint,
        collections.cost_date,
        arg_max(
            collections.status,
            (collections.collected_at, collections.load_id, collections.collection_id)
        ) as latest_status
    from collections
    inner join organizations on collections.key_fingerprint = organizations.key_fingerprint
    where collections.endpoint in {{ usage_endpoints() }}
    group by all
)

select
    attempted.organization_id,
    attempted.endpoint,
    attempted.cost_date,
    contents.revision_id,
    contents.row_count,
    contents.collection_id,
    contents.known_from as collected_at,
    contents.revision_id is not null as is_read,
    contents.revision_id is null and attempted.latest_status = 'unsupported' as is_unsupported,
    -- An endpoint that an organization does not have will not tell more about the day.
    case
        when contents.revision_id is null then attempted.latest_status = 'unsupported'
        else contents.newest_ok_at >= {{ day_end('attempted.cost_date') }}
    end as is_whole_day,
    case
        when contents.revision_id is null then attempted.latest_status = 'unsupported'
        else contents.settled_from is not null
    end as is_settled
from attempted
left join contents
    on
        attempted.organization_id = contents.organization_id
        and attempted.endpoint = contents.endpoint
        and attempted.cost_date = contents.cost_date
        and contents.known_until is null
