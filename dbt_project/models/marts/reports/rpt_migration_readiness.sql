with reconciliation as (
    select * from {{ ref('fct_reconciliation') }}
    where status != 'not_comparable'
),

-- Chosen first: the texts below are made for seven days, however long the history is.
first_days as (
    select
        team_id,
        currency,
        cost_date,
        row_number() over (partition by team_id, currency order by cost_date) as day_number
    from reconciliation
    group by team_id, currency, cost_date
    having not bool_or(status = 'pending')
    qualify day_number <= 7
),

team_days as (
    select
        first_days.team_id,
        first_days.currency,
        first_days.cost_date,
        first_days.day_number,
        sum(reconciliation.costs_v1) as costs_v1,
        sum(reconciliation.usage_v1) as usage_v1,
        sum(reconciliation.difference) as difference,
        sum(reconciliation.unexplained) as unexplained,
        bool_or(reconciliation.status = 'explained') as is_explained,
        count(*) filter (where reconciliation.status = 'discrepancy') as discrepancy_count,
        list(
            reconciliation.project_id
            || coalesce(' (' || reconciliation.openai_project_id || ')', '') || ': '
            || cast(cast(reconciliation.absolute_unexplained as decimal(38, 6)) as varchar)
            || ' ' || reconciliation.currency
            order by reconciliation.absolute_unexplained desc, reconciliation.project_id asc
        ) filter (where reconciliation.status = 'discrepancy') as discrepancies
    from first_days
    inner join reconciliation
        on
            first_days.team_id = reconciliation.team_id
            and first_days.currency = reconciliation.currency
            and first_days.cost_date = reconciliation.cost_date
    group by all
),

judged as (
    select
        *,
        count(*) over team_period as day_count,
        count(*) filter (where discrepancy_count > 0) over team_period as bad_day_count
    from team_days
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
