{#- Periods [valid_from, valid_to) of one key do not overlap; null is open on that side. -#}
{% test no_overlap(model, key) %}
    with periods as (
        select
            {{ key }},
            valid_from,
            valid_to,
            lead(coalesce(valid_from, cast('-infinity' as date))) over (
                partition by {{ key }} order by valid_from nulls first, valid_to nulls last
            ) as next_from
        from {{ model }}
        where {{ key }} is not null
    )

    select *
    from periods
    where next_from < coalesce(valid_to, cast('infinity' as date))
{% endtest %}
