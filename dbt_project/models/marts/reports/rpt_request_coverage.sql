with requests as (
    select * from {{ ref('rpt_request_costs') }}
),

months as (
    select
        cast(date_trunc('month', cost_date) as date) as month,
        team_id,
        project_id,
        model,
        action,
        reconciliation_status != 'unexplained' as is_explained,
        currency,
        sum(request_count) as request_count,
        sum(billed_cost) as billed_cost
    from requests
    where billed_cost is not null
    group by all
)

select
    month,
    team_id,
    project_id,
    model,
    action,
    is_explained,
    currency,
    cast(request_count as bigint) as request_count,
    cast(billed_cost as decimal(38, 18)) as billed_cost,
    cast(sum(billed_cost) over bill as decimal(38, 18)) as model_bill,
    case
        when sum(billed_cost) over bill != 0
            then cast(billed_cost as double) / cast(sum(billed_cost) over bill as double)
    end as share_of_bill
from months
window bill as (partition by month, team_id, project_id, model, currency)
