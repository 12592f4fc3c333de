with costs as (
    select * from {{ ref('stg_openai__costs') }}
),

-- Each text is taken apart once, however many rows carry it.
line_items as (
    select distinct line_item
    from costs
    where line_item is not null
),

parts as (
    select
        line_item,
        {{ line_item_surface('line_item') }} as surface,
        {{ line_item_parts('line_item') }} as parts
    from line_items
)

select
    line_item,
    surface,
    {{ line_item_model('parts') }} as model,
    {{ line_item_modality('parts') }} as modality,
    {{ line_item_token_kind('parts') }} as token_kind,
    {{ line_item_context('parts') }} as context
from parts
