{#- Line items as they were known at a moment (timestamptz): what each organization's newest reading
    had said by then, attributed as today. Columns of fct_costs; `is_settled` as of then. Only what
    was billed is remembered, so all of it is reported, whatever the source is today. -#}
{% macro costs_as_of(moment, costs, superseded_costs, revisions) -%}
    select
        costs.* replace (
            coalesce(revisions.settled_from <= {{ moment }}, false) as is_settled,
            true as is_reported
        )
    from (
        from {{ costs }}
        union all by name
        from {{ superseded_costs }}
    ) as costs
    inner join {{ revisions }} as revisions
        on
            costs.collection_id = revisions.collection_id
            and costs.organization_id = revisions.organization_id
            and costs.cost_date = revisions.cost_date
    where
        revisions.known_from <= {{ moment }}
        and coalesce(revisions.known_until > {{ moment }}, true)
{%- endmacro %}
