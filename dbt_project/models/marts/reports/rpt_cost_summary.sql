with build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

teams as (
    select * from {{ ref('dim_teams') }}
),

team_daily_costs as (
    select * from {{ ref('fct_team_daily_costs') }}
),

project_daily_costs as (
    select * from {{ ref('fct_project_daily_costs') }}
),

keys as (
    select * from {{ ref('stg_registry__keys') }}
),

organizations as (
    select * from {{ ref('int_organizations_resolved') }}
),

organization_days as (
    select * from {{ ref('int_organization_days_covered') }}
),

-- Where a team's money can be: what its keys open and what it was ever billed in. Spend that
-- nobody owns can be anywhere.
team_organizations as (
    select
        keys.team_id,
        organizations.organization_id
    from keys
    inner join organizations on keys.key_fingerprint = organizations.key_fingerprint
    where keys.key_type = 'admin'

    union

    select
        team_id,
        organization_id
    from project_daily_costs

    union

    select
        {{ unallocated() }} as team_id,
        organization_id
    from organizations
),

team_days as (
    select
        team_organizations.team_id,
        organization_days.cost_date,
        bool_and(organization_days.is_settled) as is_settled
    from team_organizations
    inner join organization_days
        on team_organizations.organization_id = organization_days.organization_id
    group by all
    having bool_and(organization_days.is_covered)
),

periods as (
    select
        as_of_date,
        'yesterday' as period,
        as_of_date as first_day,
        as_of_date as last_day
    from build_settings

    union all

    select
        as_of_date,
        'this_week' as period,
        cast(date_trunc('week', as_of_date) as date) as first_day,
        as_of_date as last_day
    from build_settings

    union all

    select
        as_of_date,
        'month_to_date' as period,
        cast(date_trunc('month', as_of_date) as date) as first_day,
        as_of_date as last_day
    from build_settings

    union all

    select
        as_of_date,
        'previous_month' as period,
        cast(date_trunc('month', as_of_date) - interval 1 month as date) as first_day,
        cast(date_trunc('month', as_of_date) as date) - 1 as last_day
    from build_settings
),

-- Only periods of which every day is known.
team_periods as (
    select
        team_days.team_id,
        periods.period,
        periods.first_day,
        periods.last_day,
        bool_and(team_days.is_settled) as is_settled
    from periods
    inner join team_days on team_days.cost_date between periods.first_day and periods.last_day
    group by all
    having count(*) = periods.last_day - periods.first_day + 1
),

team_currencies as (
    select distinct
        teams.team_id,
        coalesce(team_daily_costs.currency, 'USD') as currency
    from teams
    left join team_daily_costs on teams.team_id = team_daily_costs.team_id
),

figures as (
    select
        team_currencies.team_id,
        team_currencies.currency,
        team_periods.period,
        team_periods.is_settled,
        coalesce(sum(team_daily_costs.cost), 0) as cost
    from team_currencies
    inner join team_periods on team_currencies.team_id = team_periods.team_id
    left join team_daily_costs
        on
            team_currencies.team_id = team_daily_costs.team_id
            and team_currencies.currency = team_daily_costs.currency
            and team_daily_costs.cost_date between team_periods.first_day and team_periods.last_day
    group by all
),

latest_days as (
    select
        team_id,
        max(cost_date) as latest_complete_date
    from team_days
    group by team_id
)

select
    team_currencies.team_id,
    team_currencies.currency,
    build_settings.as_of_date,
    any_value(latest_days.latest_complete_date) as latest_complete_date,
    any_value(figures.cost) filter (where figures.period = 'yesterday') as yesterday,
    coalesce(
        any_value(figures.is_settled) filter (where figures.period = 'yesterday'), false
    ) as yesterday_is_settled,
    any_value(figures.cost) filter (where figures.period = 'this_week') as this_week,
    any_value(figures.cost) filter (where figures.period = 'month_to_date') as month_to_date,
    any_value(figures.cost) filter (where figures.period = 'previous_month') as previous_month
from team_currencies
cross join build_settings
left join latest_days on team_currencies.team_id = latest_days.team_id
left join figures
    on
        team_currencies.team_id = figures.team_id
        and team_currencies.currency = figures.currency
group by team_currencies.team_id, team_currencies.currency, build_settings.as_of_date
