{#- The columns of a line item's cost, for the facts that hold what is and what was believed. -#}
{% macro cost_facts(costs) -%}
select
    {{ surrogate_key([
        'cost_date', 'organization_id', 'openai_project_id', 'api_key_id', 'line_item', 'currency',
        'api_version',
    ]) }} as cost_id,
    cost_date,
    team_id,
    project_id,
    organization_id,
    openai_project_id,
    api_key_id,
    line_item,
    surface,
    model,
    modality,
    token_kind,
    context,
    case when cost < 0 then 'Credit' else 'Usage' end as charge_category,
    quantity,
    quantity_unit,
    cost,
    currency,
    api_version,
    is_reported,
    is_settled,
    collection_id,
    collected_at
from {{ costs }}
{%- endmacro %}
