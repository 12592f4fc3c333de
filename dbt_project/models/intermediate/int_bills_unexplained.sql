with claimed as (
    select * from {{ ref('int_bills_claimed') }}
),

added_up as (
    select
        cost_date,
        organization_id,
        openai_project_id,
        team_id,
        project_id,
        model,
        currency,
        sum(share) as parts,
        sum(case when token_kind in ('input', 'cache_write') then share else 0 end) as input_parts,
        sum(case when token_kind = 'cached_input' then share else 0 end) as cached_input_parts,
        sum(case when token_kind = 'output' then share else 0 end) as output_parts
    from claimed
    where claim_number is null
    group by all
)

select
    cost_date,
    organization_id,
    openai_project_id,
    team_id,
    project_id,
    model,
    currency,
    {{ from_parts('parts') }} as billed_cost,
    {{ from_parts('input_parts') }} as input_cost,
    {{ from_parts('cached_input_parts') }} as cached_input_cost,
    {{ from_parts('output_parts') }} as output_cost
from added_up
where parts != 0
