with gaps as (
    select * from {{ ref('int_quantities_compared') }}
),

bills as (
    select * from {{ ref('int_bills_compared') }}
),

declared as (
    select * from {{ ref('stg_pricing__complimentary_tokens') }}
),

-- What the bill itself shows at no cost is of the same tokens.
billed_at_nothing as (
    select
        declared.declaration_number,
        bills.organization_id,
        bills.cost_date,
        sum(bills.quantity) as tokens
    from bills
    inner join declared
        on
            bills.organization_id = declared.organization_id
            and bills.price_model = declared.price_model
            and bills.cost_date >= declared.valid_from
            and bills.cost_date < declared.valid_to
    where bills.cause = 'complimentary_tokens'
    group by all
),

-- One declaration is shared by all projects and models that it is for, in the order of their names.
unbilled as (
    select
        gaps.*,
        -gaps.quantity as tokens,
        declared.tokens_a_day
        - coalesce(billed_at_nothing.tokens, 0)
        - coalesce(sum(-gaps.quantity) over those_before, 0) as tokens_left
    from gaps
    inner join declared
        on
            gaps.organization_id = declared.organization_id
            and gaps.price_model = declared.price_model
            and gaps.cost_date >= declared.valid_from
            and gaps.cost_date < declared.valid_to
    left join billed_at_nothing
        on
            gaps.organization_id = billed_at_nothing.organization_id
            and gaps.cost_date = billed_at_nothing.cost_date
            and declared.declaration_number = billed_at_nothing.declaration_number
    where
        gaps.cause = 'used_without_bill'
        and gaps.token_kind in ('input', 'cached_input', 'cache_write', 'output')
    window those_before as (
        partition by declared.declaration_number, gaps.cost_date
        order by
            gaps.openai_project_id, gaps.price_model, gaps.token_kind, gaps.price_modality
        rows between unbounded preceding and 1 preceding
    )
),

complimentary as (
    select
        *,
        least(tokens, tokens_left) as complimentary_tokens
    from unbilled
    where tokens_left > 0
),

parts as (
    select
        organization_id,
        cost_date,
        openai_project_id,
        price_model,
        token_kind,
        price_modality,
        'complimentary_tokens' as cause,
        -complimentary_tokens as quantity,
        -{{ amount_of('cast(complimentary_tokens as decimal(28, 6))', 'unit_price') }} as amount
    from complimentary

    union all

    select
        gaps.organization_id,
        gaps.cost_date,
        gaps.openai_project_id,
        gaps.price_model,
        gaps.token_kind,
        gaps.price_modality,
        gaps.cause,
        gaps.quantity + coalesce(complimentary.complimentary_tokens, 0) as quantity,
        gaps.amount
        + coalesce(
            {{ amount_of(
                'cast(complimentary.complimentary_tokens as decimal(28, 6))',
                'complimentary.unit_price',
            ) }},
            0
        ) as amount
    from gaps
    left join complimentary
        on
            gaps.organization_id = complimentary.organization_id
            and gaps.cost_date = complimentary.cost_date
            and gaps.openai_project_id is not distinct from complimentary.openai_project_id
            and gaps.price_model = complimentary.price_model
            and gaps.token_kind = complimentary.token_kind
            and gaps.price_modality is not distinct from complimentary.price_modality
)

select
    *,
    case
        when
            cause in ('moved_across_midnight', 'endpoint_without_rows', 'complimentary_tokens')
            then 'quantity_difference'
        else 'unexplained'
    end as part
from parts
where quantity != 0
