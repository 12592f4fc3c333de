{#- What a cause amounts to, item by item, the largest first. -#}
{% test parts_of_cause(model, cause) %}
    select
        row_number() over (order by sum(abs(amount)) desc, item) as rank,
        item,
        min(cost_date) as first_day,
        max(cost_date) as last_day,
        count(*) as project_days,
        sum(amount) as amount
    from {{ model }}
    where cause = '{{ cause }}'
    group by item
{% endtest %}
