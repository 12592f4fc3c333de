{#- The contents that successful readings of a bucket found, in the order in which they were known.
    The end of a query, after its common table expressions.

    readings: one of them; columns as of the ledger.
    reader: column that tells apart whose buckets they are. -#}
{% macro contents_of_readings(readings, reader) -%}
ordered as (
    select
        *,
        row_number() over in_time as reading_number,
        lag(content_hash) over in_time as previous_hash,
        lag(query_signature) over in_time as previous_signature
    from {{ readings }}
    window in_time as (
        partition by {{ reader }}, endpoint, cost_date
        order by collected_at, load_id, collection_id
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
    from ordered
),

-- A, B, A again are three contents.
numbered as (
    select
        *,
        count(*) filter (where is_other_content) over up_to_here as content_number,
        max(collected_at) filter (where is_other_content) over up_to_here as known_from
    from compared
    window up_to_here as (
        partition by {{ reader }}, endpoint, cost_date
        order by reading_number
        rows unbounded preceding
    )
),

contents as (
    select
        numbered.{{ reader }},
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
        any_value(numbered.query_signature) filter (where numbered.is_other_content)
            as query_signature,
        any_value(numbered.row_count) filter (where numbered.is_other_content) as row_count,
        any_value(numbered.cost) filter (where numbered.is_other_content) as cost,
        any_value(numbered.currency) filter (where numbered.is_other_content) as currency
    from numbered
    left join {{ ref('stg_pipeline__build_settings') }} as build_settings on true
    group by
        numbered.{{ reader }},
        numbered.endpoint,
        numbered.cost_date,
        numbered.content_number,
        numbered.known_from
)

select
    *,
    lead(known_from) over (
        partition by {{ reader }}, endpoint, cost_date
        order by content_number
    ) as known_until
from contents
{%- endmacro %}
