{{ config(
    materialized='changed_buckets',
    changed='int_reconciliation_changed',
    key=['organization_id', 'cost_date'],
    remembers=true
) }}

with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
),

parts as (
    select * from {{ ref('fct_reconciliation_parts') }}
),

costs_sightings as (
    select * from {{ ref('int_costs_sightings') }}
),

usage_sightings as (
    select * from {{ ref('int_usage_sightings') }}
),

legacy_sightings as (
    select * from {{ ref('int_legacy_sightings') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

-- A collection that broke off may have read some endpoints and not yet the others.
usage_days as (
    select
        organization_id,
        cost_date,
        bool_and(is_settled)
        and count(*) filter (where endpoint in {{ model_endpoints() }})
        = {{ model_endpoints().count("'") // 2 }}
        -- What project keys told is shown beside the bill and never judged: it has no service
        -- tiers, and nothing of projects without a key.
        and (organization_id, cost_date) not in (
            select (legacy_sightings.organization_id, legacy_sightings.cost_date)
            from legacy_sightings
        ) as is_settled
    from usage_sightings
    group by organization_id, cost_date
),

compared as (
    select
        costs.cost_date,
        costs.team_id,
        costs.project_id,
        costs.organization_id,
        costs.openai_project_id,
        costs.currency,
        sum(case when costs.api_version = 'costs_v1' then costs.cost else 0 end) as costs_v1,
        sum(case when costs.api_version = 'usage_v1' then costs.cost else 0 end) as usage_v1,
        count(*) filter (where costs.api_version = 'costs_v1') as billed_rows
    from costs
    inner join changed
        on costs.organization_id = changed.organization_id and costs.cost_date = changed.cost_date
    group by all
),

causes as (
    select
        parts.cost_date,
        parts.organization_id,
        parts.openai_project_id,
        parts.part,
        case when parts.part = 'unexplained' then parts.part else parts.cause end as reason,
        sum(parts.amount) as amount,
        sum(parts.absolute_amount) as absolute_amount
    from parts
    inner join changed
        on parts.organization_id = changed.organization_id and parts.cost_date = changed.cost_date
    group by all
),

gaps as (
    select
        cost_date,
        organization_id,
        openai_project_id,
        sum(amount) filter (where part = 'non_token_cost') as non_token_cost,
        sum(amount) filter (where part = 'unpriced_cost') as unpriced_cost,
        sum(amount) filter (where part = 'rate_difference') as rate_difference,
        sum(amount) filter (where part = 'quantity_difference') as quantity_difference,
        sum(amount) filter (where part = 'unexplained') as unexplained,
        sum(absolute_amount) filter (where part = 'unexplained') as absolute_unexplained,
        arg_max(reason, (absolute_amount, reason)) filter (
            where absolute_amount > cast('0.000000001' as decimal(38, 18))
        ) as reason
    from causes
    group by all
),

judged as (
    select
        compared.*,
        -- Usage is worth US dollars. What was billed in another currency alone has no counterpart.
        compared.currency = 'USD'
        and (compared.billed_rows > 0 or sum(compared.billed_rows) over project_days = 0)
            as is_comparable,
        coalesce(costs_sightings.is_settled and usage_days.is_settled, false) as is_settled,
        gaps.reason,
        coalesce(gaps.non_token_cost, 0) as non_token_cost,
        coalesce(gaps.unpriced_cost, 0) as unpriced_cost,
        coalesce(gaps.rate_difference, 0) as rate_difference,
        coalesce(gaps.quantity_difference, 0) as quantity_difference,
        coalesce(gaps.unexplained, 0) as unexplained,
        coalesce(gaps.absolute_unexplained, 0) as absolute_unexplained,
        greatest(
            abs(compared.costs_v1) * build_settings.tolerance, build_settings.tolerance_floor
        ) as tolerated
    from compared
    left join gaps
        on
            compared.cost_date = gaps.cost_date
            and compared.organization_id = gaps.organization_id
            and compared.openai_project_id is not distinct from gaps.openai_project_id
    left join costs_sightings
        on
            compared.organization_id = costs_sightings.organization_id
            and compared.cost_date = costs_sightings.cost_date
    left join usage_days
        on
            compared.organization_id = usage_days.organization_id
            and compared.cost_date = usage_days.cost_date
    left join build_settings on true
    window project_days as (
        partition by compared.cost_date, compared.organization_id, compared.openai_project_id
    )
)

select
    cost_date,
    team_id,
    project_id,
    organization_id,
    openai_project_id,
    currency,
    cast(costs_v1 as decimal(38, 18)) as costs_v1,
    case when is_comparable then cast(usage_v1 as decimal(38, 18)) end as usage_v1,
    case when is_comparable then cast(costs_v1 - usage_v1 as decimal(38, 18)) end as difference,
    case
        when is_comparable and costs_v1 != 0
            then cast(costs_v1 - usage_v1 as double) / cast(costs_v1 as double)
    end as difference_ratio,
    case
        when not is_comparable then 'not_comparable'
        when not is_settled then 'pending'
        when abs(costs_v1 - usage_v1) <= tolerated then 'matched'
        when absolute_unexplained <= tolerated then 'explained'
        else 'discrepancy'
    end as status,
    case when is_comparable then reason end as reason,
    case when is_comparable then cast(non_token_cost as decimal(38, 18)) end as non_token_cost,
    case when is_comparable then cast(unpriced_cost as decimal(38, 18)) end as unpriced_cost,
    case when is_comparable then cast(rate_difference as decimal(38, 18)) end as rate_difference,
    case when is_comparable then cast(quantity_difference as decimal(38, 18)) end
        as quantity_difference,
    case when is_comparable then cast(unexplained as decimal(38, 18)) end as unexplained,
    case when is_comparable then cast(absolute_unexplained as decimal(38, 18)) end
        as absolute_unexplained
from judged
