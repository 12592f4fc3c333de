with requests as (
    select
        cost_date,
        request_number,
        group_number,
        {{ request_measures() }}
    from {{ ref('int_requests_told') }}
),

claims as (
    select * from {{ ref('int_requests_claims') }}
),

bills as (
    select
        claim_number,
        min(currency) as currency,
        sum(share) as cost_parts
    from {{ ref('int_bills_claimed') }}
    where claim_number is not null
    group by claim_number
),

measured as (
    select
        cost_date,
        request_number,
        group_number,
        measure,
        tokens
    from requests
    unpivot (
        tokens for measure in ({{ request_measures() }})
    )
    where tokens > 0
),

-- As few columns as can be: each token kind of each request is sorted here.
claimed as (
    select
        measured.cost_date,
        measured.request_number,
        measured.tokens,
        claims.claim_number,
        claims.tokens as claimed_tokens,
        coalesce(bills.cost_parts, 0) as cost_parts
    from measured
    inner join claims
        on
            measured.cost_date = claims.cost_date
            and measured.group_number = claims.group_number
            and measured.measure = claims.measure
    left join bills on claims.claim_number = bills.claim_number
),

allocated as (
    {{ allocated(
        'claimed',
        'cost_parts',
        'tokens',
        'claimed_tokens',
        by=['cost_date', 'claim_number'],
        tie_breaker=['request_number'],
    ) }}
),

shares as (
    select
        allocated.cost_date,
        allocated.request_number,
        allocated.tokens,
        allocated.share,
        claims.token_kind,
        claims.unit_price,
        bills.currency,
        bills.claim_number is not null as is_billed
    from allocated
    inner join claims on allocated.claim_number = claims.claim_number
    left join bills on allocated.claim_number = bills.claim_number
),

added_up as (
    select
        cost_date,
        request_number,
        min(currency) as currency,
        bool_or(is_billed) as is_billed,
        case
            when count(unit_price) = count(*)
                then sum({{ amount_of('cast(tokens as decimal(28, 6))', 'unit_price') }})
        end as calculated_cost,
        coalesce(sum(share) filter (where token_kind = 'input'), 0) as input_parts,
        coalesce(sum(share) filter (where token_kind = 'cached_input'), 0) as cached_input_parts,
        coalesce(sum(share) filter (where token_kind = 'output'), 0) as output_parts
    from shares
    group by cost_date, request_number
)

select
    cost_date,
    request_number,
    currency,
    is_billed,
    cast(calculated_cost as decimal(38, 18)) as calculated_cost,
    {{ from_parts('input_parts') }} as input_cost,
    {{ from_parts('cached_input_parts') }} as cached_input_cost,
    {{ from_parts('output_parts') }} as output_cost
from added_up
