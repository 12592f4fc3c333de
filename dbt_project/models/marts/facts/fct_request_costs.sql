{{ config(
    materialized='changed_buckets',
    changed='int_requests_changed',
    key=['cost_date'],
    rows_per_batch=200000,
    remembers=true
) }}

-- depends_on: {{ ref('int_requests_changed') }}
with requests as (
    select * from {{ ref('int_requests_told') }}
),

shares as (
    select * from {{ ref('int_requests_shared') }}
),

rest as (
    select * from {{ ref('int_bills_unexplained') }}
),

bills as (
    select * from {{ ref('int_bills_logged') }}
),

build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

costed as (
    select
        requests.*,
        shares.currency,
        shares.is_billed,
        bills.settled_from,
        -- What the list says in US dollars says nothing about another currency.
        case
            when shares.request_number is null then cast(0 as decimal(38, 18))
            when coalesce(shares.currency, 'USD') = 'USD' then shares.calculated_cost
        end as calculated_cost,
        case when bills.cost_date is not null then coalesce(shares.input_cost, 0) end
            as input_cost,
        case when bills.cost_date is not null then coalesce(shares.cached_input_cost, 0) end
            as cached_input_cost,
        case when bills.cost_date is not null then coalesce(shares.output_cost, 0) end
            as output_cost
    from requests
    left join shares
        on
            requests.cost_date = shares.cost_date
            and requests.request_number = shares.request_number
    left join bills
        on
            requests.cost_date = bills.cost_date
            and requests.organization_id = bills.organization_id
),

compared as (
    select
        *,
        cast(input_cost + cached_input_cost + output_cost as decimal(38, 18)) as billed_cost
    from costed
),

judged as (
    select
        compared.*,
        case
            when compared.settled_from is null then 'pending'
            when
                not coalesce(compared.is_billed, false)
                and coalesce(compared.calculated_cost != 0, true)
                then 'unbilled'
            when
                abs(compared.billed_cost - compared.calculated_cost)
                <= abs(compared.billed_cost) * build_settings.request_tolerance
                or {{ nearly_equal('compared.billed_cost', 'compared.calculated_cost') }}
                then 'matched'
            else 'discrepancy'
        end as reconciliation_status
    from compared
    left join build_settings on true
),

told as (
    select * from judged

    union all by name

    select
        rest.*,
        rest.model as billed_model,
        bills.settled_from,
        'unexplained' as reconciliation_status
    from rest
    inner join bills
        on rest.cost_date = bills.cost_date and rest.organization_id = bills.organization_id
)

select
    case
        when request_id is not null then {{ surrogate_key(['request_id']) }}
        else {{ surrogate_key([
            'cost_date', 'organization_id', 'openai_project_id', 'model', 'currency',
        ]) }}
    end as request_cost_id,
    request_id,
    requested_at,
    cost_date,
    organization_id,
    team_id,
    project_id,
    openai_project_id,
    api_key_id,
    user_id,
    action,
    task_type,
    user_intent,
    model,
    billed_model,
    system_fingerprint,
    service_tier,
    is_batch,
    input_tokens,
    input_cached_tokens,
    output_tokens,
    calculated_cost,
    billed_cost,
    input_cost,
    cached_input_cost,
    output_cost,
    coalesce(currency, case when calculated_cost is not null then 'USD' end) as currency,
    settled_from as reconciled_at,
    reconciliation_status
from told
