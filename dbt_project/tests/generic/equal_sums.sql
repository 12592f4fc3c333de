{#- The sums of a column equal those of the same column in another relation, or of `to_column`, per
    group and to the last digit; a group that is absent on one side sums to zero. -#}
{% test equal_sums(model, column_name, to, by, to_column=none, to_where=['true']) %}
    with ours as (
        select {{ by | join(', ') }}, sum({{ column_name }}) as total
        from {{ model }}
        group by {{ by | join(', ') }}
    ),

    theirs as (
        select {{ by | join(', ') }}, sum({{ to_column or column_name }}) as total
        from {{ to }}
        where {{ to_where | join(' and ') }}
        group by {{ by | join(', ') }}
    )

    select
        ours.total as our_total,
        theirs.total as their_total,
        {%- for column in by %}
        coalesce(ours.{{ column }}, theirs.{{ column }}) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from ours
    full outer join theirs
        on
            {%- for column in by %}
            {{ "and " if not loop.first }}ours.{{ column }} is not distinct from theirs.{{ column }}
            {%- endfor %}
    where coalesce(ours.total, 0) != coalesce(theirs.total, 0)
{% endtest %}
