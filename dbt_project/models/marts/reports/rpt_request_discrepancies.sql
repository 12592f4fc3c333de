with requests as (
    select * from {{ ref('rpt_request_costs') }}
),

settled as (
    select
        cast(date_trunc('month', cost_date) as date) as month,
        action,
        model,
        currency,
        cast(sum(request_count) as bigint) as request_count,
        cast(
            coalesce(sum(request_count) filter (where reconciliation_status = 'discrepancy'), 0)
            as bigint
        ) as discrepancy_count,
        cast(
            coalesce(sum(request_count) filter (where reconciliation_status = 'unbilled'), 0)
            as bigint
        ) as unbilled_count,
        sum(calculated_cost) as calculated_cost,
        sum(billed_cost) as billed_cost,
        sum(difference) as total_difference,
        sum(absolute_difference) as absolute_difference
    from requests
    where reconciliation_status in ('matched', 'discrepancy', 'unbilled')
    group by all
)

select
    month,
    action,
    model,
    currency,
    request_count,
    discrepancy_count,
    unbilled_count,
    cast(calculated_cost as decimal(38, 18)) as calculated_cost,
    cast(billed_cost as decimal(38, 18)) as billed_cost,
    cast(total_difference as decimal(38, 18)) as total_difference,
    case
        when calculated_cost != 0
            then cast(absolute_difference as double) / cast(calculated_cost as double)
    end as average_difference_ratio
from settled
