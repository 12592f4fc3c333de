with collections as (
    select * from {{ ref('stg_openai__collections') }}
),

teams as (
    select * from {{ ref('stg_registry__teams') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

team_days as (
    select
        collections.team_id,
        min(collections.cost_date) as first_day,
        least(
            any_value(build_settings.as_of_date),
            any_value({{ utc_date('teams.deactivated_at') }}) filter (where not teams.is_active)
        ) as last_day
    from collections
    cross join build_settings
    left join teams on collections.team_id = teams.team_id
    where collections.endpoint != 'legacy_usage'
    group by collections.team_id
),

requested as (
    select distinct
        team_id,
        endpoint
    from collections
    where endpoint != 'legacy_usage'
),

expected as (
    select
        requested.team_id,
        requested.endpoint,
        cast(
            unnest(generate_series(team_days.first_day, team_days.last_day, interval 1 day)) as date
        ) as cost_date
    from requested
    inner join team_days on requested.team_id = team_days.team_id

    union all

    -- Of the legacy endpoint no day is missing that nobody asked for.
    select distinct
        team_id,
        endpoint,
        cost_date
    from collections
    where endpoint = 'legacy_usage'
),

-- Of a bucket that was read dozens of times only the newest attempts are put in order.
newest as (
    select
        team_id,
        endpoint,
        cost_date,
        max(collected_at) as collected_at,
        max(collected_at) filter (where status = 'ok') as last_ok_at
    from collections
    group by team_id, endpoint, cost_date
),

attempts as (
    select
        newest.*,
        collections.status,
        collections.row_count,
        collections.cost,
        collections.error
    from newest
    inner join collections
        on
            newest.team_id = collections.team_id
            and newest.endpoint = collections.endpoint
            and newest.cost_date = collections.cost_date
            and newest.collected_at = collections.collected_at
    qualify row_number() over (
        partition by newest.team_id, newest.endpoint, newest.cost_date
        order by collections.load_id desc, collections.collection_id desc
    ) = 1
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
