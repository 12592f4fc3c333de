{#- Quantity, decimal(28, 6), times unit price, decimal(18, 12): exact in the decimal(38, 18) of an
    amount. -#}
{% macro amount_of(quantity, unit_price) -%}
    cast({{ quantity }} * {{ unit_price }} as decimal(38, 18))
{%- endmacro %}

{#- Equal but for what is lost on the way: OpenAI writes amounts as floating point numbers. The
    billionth part of a dollar, or of a larger amount. -#}
{% macro nearly_equal(amount, other) -%}
    abs({{ amount }} - {{ other }}) <= greatest(
        cast('0.000000001' as decimal(38, 18)),
        cast(
            cast(abs({{ amount }}) as decimal(28, 9)) * cast('0.000000001' as decimal(10, 9))
            as decimal(38, 18)
        )
    )
{%- endmacro %}
