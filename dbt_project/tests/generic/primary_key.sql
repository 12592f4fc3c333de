{#- Each row has a value of its own: one test for what `unique` and `not_null` take two for. -#}
{% test primary_key(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    group by {{ column_name }}
    having count(*) > 1 or {{ column_name }} is null
{% endtest %}
