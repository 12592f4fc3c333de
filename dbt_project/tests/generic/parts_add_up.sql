{#- The parts of each difference add up to it, to the last digit. -#}
{% test parts_add_up(model) %}
    select *
    from {{ model }}
    where
        difference is distinct from costs_v1 - usage_v1
        or difference is distinct from
        non_token_cost + unpriced_cost + rate_difference + quantity_difference + unexplained
{% endtest %}
