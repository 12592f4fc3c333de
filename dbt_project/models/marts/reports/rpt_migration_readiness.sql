with reconciliation as (
    select * from {{ ref('fct_reconciliation') }}
),

team_days as (
    select
        team_id,
        currency,
        cost_date,
        sum(costs_v1) as costs_v1,
        sum(usage_v1) as usage_v1,
        sum(difference) as difference,
        sum(unexplained) as unexplained,
        bool_or(status = 'pending') as is_pending,
        bool_or(status = 'explained') as is_explained,
        count(*) filter (where status = 'discrepancy') as discrepancy_count,
        list(
            project_id || coalesce(' (' || openai_project_id || ')', '') || ': '
            || cast(cast(absolute_unexplained as decimal(38, 6)) as varchar) || ' ' || currency
            order by absolute_unexplained desc, project_id asc
        ) filter (where status = 'discrepancy') as discrepancies
    from reconciliation
    where status != 'not_comparable'
    group by team_id, currency, cost_date
),

first_days as (
    select
        *,
        row_number() over (partition by team_id, currency order by cost_date) as day_number
    from team_days
    where not is_pending
    qualify day_number <= 7
),

judged as (
    select
        *,
        count(*) over team_period as day_count,
        count(*) filter (where discrepancy_count > 0) over team_period as bad_day_count
    from first_days
    window team_period as (partition by team_id, currency)
)

select
    team_id,
    currency,
    cost_date,
    day_number,
    cast(costs_v1 as decimal(38, 18)) as costs_v1,
    cast(usage_v1 as decimal(38, 18)) as usage_v1,
    cast(difference as decimal(38, 18)) as difference,
    cast(unexplained as decimal(38, 18)) as unexplained,
    case
        when discrepancy_count > 0 then 'discrepancy'
        when is_explained then 'explained'
        else 'matched'
    end as status,
    coalesce(discrepancies, []) as discrepancies,
    case
        when bad_day_count > 0 then 'no_go'
        when day_count < 7 then 'wait'
        else 'go'
    end as verdict,
    case
        when bad_day_count > 0
            then
                bad_day_count || ' of the first ' || day_count
                || ' settled days have differences that nothing explains'
        when day_count < 7 then 'only ' || day_count || ' of 7 days are settled on both sides'
        else 'on all of the first 7 settled days both sources agree, or differ for verified causes'
    end as verdict_reason
from judged
