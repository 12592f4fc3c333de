with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

teams as (
    select * from {{ ref('stg_registry__teams') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

requested as (
    select
        collections.team_id,
        collections.endpoint,
        min(collections.cost_date) as first_day,
        least(
            any_value(build_settings.as_of_date),
            any_value({{ utc_date('teams.deactivated_at') }}) filter (where not teams.is_active)
        ) as last_day
    from collections
    cross join build_settings
    left join teams on collections.team_id = teams.team_id
    where collections.endpoint != 'legacy_usage'
    group by collections.team_id, collections.endpoint
),

expected as (
    select
        team_id,
        endpoint,
        cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as cost_date
    from requested

    union all

    -- Of the legacy endpoint no day is missing that nobody asked for.
    select distinct
        team_id,
        endpoint,
        cost_date
    from collections
    where endpoint = 'legacy_usage'
),

attempts as (
    select
        *,
        max(collected_at) filter (where status = 'ok') over bucket as last_ok_at,
        row_number() over (bucket order by collected_at desc, load_id desc, collection_id desc)
            as recency
    from collections
    window bucket as (partition by team_id, endpoint, cost_date)
)

select
    expected.cost_date,
    expected.team_id,
    expected.endpoint,
    coalesce(attempts.status, 'missing') as status,
    attempts.last_ok_at,
    attempts.row_count,
    attempts.cost,
    attempts.collected_at,
    attempts.error
from expected
left join attempts
    on
        expected.team_id = attempts.team_id
        and expected.endpoint = attempts.endpoint
        and expected.cost_date = attempts.cost_date
        and attempts.recency = 1
