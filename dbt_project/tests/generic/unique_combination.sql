{#- No two rows agree in all of the columns; a null agrees with a null. -#}
{% test unique_combination(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#- The same of a report that changes in parts, which every build has to look at. -#}
{% test unique_after_changes(model, columns) %}
    {{ test_unique_combination(model, columns) }}
{% endtest %}
