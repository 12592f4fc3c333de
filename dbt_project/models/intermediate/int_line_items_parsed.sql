-- Each text is taken apart once, however many rows carry it.
with line_items as (
    select * from {{ ref('int_line_items_billed') }}
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
