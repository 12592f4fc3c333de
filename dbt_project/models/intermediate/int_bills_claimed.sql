{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_requests_changed') }}
),

bills as (
    select * from {{ ref('int_bills_logged') }}
),

costs as (
    select * from {{ ref('fct_costs') }}
),

claims as (
    select * from {{ ref('int_requests_claims') }}
),

-- Requests share what was billed in one currency: the one they are priced in, if there is any.
lines as (
    select
        costs.cost_id,
        costs.cost_date,
        costs.organization_id,
        costs.openai_project_id,
        costs.team_id,
        costs.project_id,
        costs.api_key_id,
        costs.model,
        costs.token_kind,
        costs.currency,
        costs.context = 'long_context' as is_long_context,
        {{ in_parts('costs.cost') }} as cost_parts,
        -- What a request does not tell apart: input written to the cache, and sound from it.
        case costs.token_kind when 'cache_write' then 'input' else costs.token_kind end
            as claimed_kind,
        case
            when costs.modality = 'audio' and costs.token_kind = 'cached_input' then 'text'
            else coalesce(costs.modality, 'text')
        end as claimed_modality,
        case
            when costs.surface in ('batch', 'flex', 'priority') then costs.surface
            else 'standard'
        end as tier,
        regexp_replace(costs.model, '-\d{4}-\d{2}-\d{2}$', '') as undated_model,
        cast(
            round(
                case
                    when costs.quantity < 0 then 0
                    when costs.quantity_unit = '1000_tokens' then costs.quantity * 1000
                    when coalesce(costs.quantity_unit, 'tokens') = 'tokens' then costs.quantity
                end
            ) as hugeint
        ) as tokens,
        costs.token_kind is not null
        and costs.model is not null
        and coalesce(costs.quantity_unit, 'tokens') in ('tokens', '1000_tokens')
        and costs.currency = coalesce(
            max(costs.currency) filter (where costs.currency = 'USD') over bill,
            min(costs.currency) over bill
        ) as is_claimable
    from changed
    inner join bills on changed.cost_date = bills.cost_date
    inner join costs
        on bills.organization_id = costs.organization_id and bills.cost_date = costs.cost_date
    where costs.api_version = 'costs_v1'
    window bill as (partition by costs.cost_date, costs.organization_id)
),

-- A request may leave open its key, its tier, its context, the date of its model, or how much of
-- it is images: then it claims every line that it may be in. Images that are told claim lines of
-- text where the bill has none for them.
matched as (
    select
        claims.claim_number,
        claims.tokens as claimed_tokens,
        lines.cost_id,
        lines.cost_parts,
        lines.tokens as billed_tokens,
        (
            lines.model = claims.billed_model,
            claims.modality = lines.claimed_modality
            or coalesce(claims.modality = 'text' and not claims.tells_images, false)
        ) as closeness
    from claims
    inner join lines
        on
            claims.cost_date = lines.cost_date
            and claims.organization_id = lines.organization_id
            and claims.openai_project_id = lines.openai_project_id
            and claims.token_kind = lines.claimed_kind
            and (claims.modality = 'audio') = (lines.claimed_modality = 'audio')
            and claims.billed_model in (lines.model, lines.undated_model)
    where
        lines.is_claimable
        and coalesce(claims.api_key_id = lines.api_key_id, true)
        and coalesce(claims.tier = lines.tier, true)
        and coalesce(claims.is_batch or lines.tier != 'batch', true)
        and coalesce(claims.is_long_context = coalesce(lines.is_long_context, false), true)
    qualify closeness = max(closeness) over (partition by claims.claim_number)
),

counted as (
    select
        *,
        count(billed_tokens) over (partition by claim_number) as line_count
    from matched
),

-- What is left of a line after the claims that are for this line alone.
roomy as (
    select
        *,
        greatest(
            billed_tokens
            - coalesce(
                sum(claimed_tokens) filter (where line_count = 1) over (partition by cost_id), 0
            ),
            0
        ) as room
    from counted
),

weighed as (
    select
        claim_number,
        cost_id,
        cast(claimed_tokens as hugeint) as claimed_tokens,
        case
            when sum(room) over claim > 0 then room
            when sum(billed_tokens) over claim > 0 then billed_tokens
            else 1
        end as weight
    from roomy
    where billed_tokens is not null
    window claim as (partition by claim_number)
),

divisible as (
    select
        *,
        sum(weight) over (partition by claim_number) as total_weight
    from weighed
),

divided as (
    {{ allocated(
        'divisible',
        'claimed_tokens',
        'weight',
        'total_weight',
        by=['claim_number'],
        tie_breaker=['cost_id'],
    ) }}
),

-- A line without a quantity has room for everybody.
claimants as (
    select
        claim_number,
        cost_id,
        share as weight
    from divided

    union all

    select
        claim_number,
        cost_id,
        claimed_tokens as weight
    from matched
    where billed_tokens is null
),

claimed as (
    select
        cost_id,
        sum(weight) as tokens
    from claimants
    group by cost_id
),

-- What was billed beyond the claims is nobody's; all of it where nobody claims a token.
participants as (
    select
        lines.cost_id,
        claimants.claim_number,
        lines.cost_parts,
        claimants.weight
    from claimants
    inner join lines on claimants.cost_id = lines.cost_id
    where claimants.weight > 0

    union all

    select
        lines.cost_id,
        null as claim_number,
        lines.cost_parts,
        greatest(coalesce(lines.tokens - claimed.tokens, 1), 1) as weight
    from lines
    left join claimed on lines.cost_id = claimed.cost_id
    where coalesce(claimed.tokens, 0) = 0 or lines.tokens > claimed.tokens
),

totals as (
    select
        *,
        sum(weight) over (partition by cost_id) as total_weight
    from participants
),

shares as (
    {{ allocated(
        'totals',
        'cost_parts',
        'weight',
        'total_weight',
        by=['cost_id'],
        tie_breaker=['claim_number'],
    ) }}
)

select
    shares.claim_number,
    shares.cost_id,
    lines.cost_date,
    lines.organization_id,
    lines.openai_project_id,
    lines.team_id,
    lines.project_id,
    lines.model,
    lines.token_kind,
    lines.currency,
    shares.share
from shares
inner join lines on shares.cost_id = lines.cost_id
