with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

sightings as (
    select * from {{ ref('int_costs_sightings') }}
),

costs as (
    select * from {{ ref('stg_openai__costs') }}
),

tariffs as (
    select * from {{ ref('int_tariffs') }}
),

line_items as (
    select * from {{ ref('int_line_items_compared') }}
),

-- Row by row as billed: two rates in one line item are two rates.
billed as (
    select
        sightings.organization_id,
        sightings.cost_date,
        costs.openai_project_id,
        costs.line_item,
        costs.cost,
        line_items.surface,
        line_items.model,
        line_items.context,
        coalesce(line_items.is_tool, false) or {{ is_counted_otherwise(
            'line_items.model', 'costs.quantity_unit'
        ) }} as has_no_token_usage,
        coalesce(line_items.modality, 'text') as modality,
        case
            when line_items.model is null or has_no_token_usage then null
            when costs.quantity_unit in ('seconds', 'duration_seconds') then 'seconds'
            when costs.quantity_unit in ('characters', 'images') then costs.quantity_unit
            else line_items.token_kind
        end as token_kind,
        case costs.quantity_unit
            when '1000_tokens' then costs.quantity * 1000
            when 'tokens' then costs.quantity
            when 'seconds' then costs.quantity
            when 'duration_seconds' then costs.quantity
            when 'characters' then costs.quantity
            when 'images' then costs.quantity
        end as quantity
    from changed
    inner join sightings
        on
            changed.organization_id = sightings.organization_id
            and changed.cost_date = sightings.cost_date
    inner join costs
        on
            sightings.revision_id = costs.revision_id
            and sightings.cost_date = costs.cost_date
    left join line_items on costs.line_item = line_items.line_item
    where costs.currency = 'USD'
),

priced as (
    select
        billed.*,
        tariffs.price_model,
        tariffs.price_modality,
        tariffs.other_rates,
        {{ amount_of('cast(billed.quantity as decimal(28, 6))', 'tariffs.unit_price') }}
            as list_cost
    from billed
    left join tariffs
        on
            billed.model = tariffs.model
            and billed.token_kind = tariffs.token_kind
            and billed.modality = tariffs.modality
            and billed.cost_date >= tariffs.valid_from
            and billed.cost_date < tariffs.valid_to
),

at_list as (
    select
        *,
        {{ nearly_equal('cost', 'list_cost') }} as is_at_list
    from priced
),

-- Of several known rates that give the amount, the one that the line item names. Nearly every row
-- is at list price, and then none is looked for.
rated as (
    select
        *,
        case
            when not is_at_list
                then list_sort(
                    list_transform(
                        list_filter(
                            other_rates,
                            lambda known: {{ nearly_equal(
                                'cost',
                                amount_of('cast(quantity as decimal(28, 6))', 'known.unit_price'),
                            ) }}
                        ),
                        lambda known: {
                            'is_unnamed': known.rate != case
                                when context = 'long_context' then 'long_context_rate'
                                else coalesce(surface, '') || '_rate'
                            end,
                            'rate': known.rate
                        }
                    )
                )[1].rate
        end as rate
    from at_list
),

explained as (
    select
        *,
        case
            when has_no_token_usage then 'non_token_cost'
            when line_item is null then 'no_line_item'
            when model is null then 'unknown_line_item'
            when price_model is null then 'unpriced_model'
            when quantity is null then 'no_quantity'
            when is_at_list then 'rounding'
            when rate is not null then rate
            when cost = 0 then 'complimentary_tokens'
            else 'unknown_rate'
        end as cause
    from rated
)

select
    organization_id,
    cost_date,
    openai_project_id,
    line_item,
    case when quantity is not null then price_model end as price_model,
    case when quantity is not null then token_kind end as token_kind,
    case when quantity is not null then price_modality end as price_modality,
    cause,
    case
        when cause = 'non_token_cost' then 'non_token_cost'
        when cause = 'unpriced_model' then 'unpriced_cost'
        when cause = 'complimentary_tokens' then 'quantity_difference'
        when cause like '%\_rate' escape '\' and cause != 'unknown_rate' then 'rate_difference'
        else 'unexplained'
    end as part,
    quantity,
    list_cost,
    cost - coalesce(list_cost, 0) as amount
from explained
