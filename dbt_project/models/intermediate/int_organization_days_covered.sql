with organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

keys as (
    select * from {{ ref('stg_registry__keys') }}
),

teams as (
    select * from {{ ref('stg_registry__teams') }}
),

sources as (
    select * from {{ ref('int_sources_reported') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

key_ends as (
    select
        organizations.organization_id,
        case
            when not keys.is_active or not teams.is_active
                then {{ utc_date('least(keys.deactivated_at, teams.deactivated_at)') }}
        end as ended_on
    from organizations
    left join keys
        on
            organizations.key_fingerprint = keys.key_fingerprint
            and keys.key_type = 'admin'
    left join teams on keys.team_id = teams.team_id
),

-- An organization whose last key was withdrawn is expected up to that day, not for ever.
expected_organizations as (
    select
        organization_id,
        case when bool_and(ended_on is not null) then max(ended_on) end as expected_until
    from key_ends
    group by organization_id
),

first_days as (
    select min(cost_date) as first_day
    from sources
),

days as (
    select
        cast(
            unnest(
                generate_series(first_days.first_day, build_settings.as_of_date, interval 1 day)
            ) as date
        ) as cost_date
    from build_settings
    cross join first_days
)

select
    expected_organizations.organization_id,
    days.cost_date,
    -- A reading that came before the day was over is no reading of the day.
    coalesce(sources.is_whole_day, false) as is_covered,
    coalesce(sources.is_settled, false) as is_settled
from expected_organizations
inner join days
    on days.cost_date <= coalesce(expected_organizations.expected_until, cast('infinity' as date))
left join sources
    on
        expected_organizations.organization_id = sources.organization_id
        and days.cost_date = sources.cost_date
