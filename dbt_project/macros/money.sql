{#- Quantity, decimal(28, 6), times unit price, decimal(18, 12): exact in the decimal(38, 18) of an
    amount. -#}
{% macro amount_of(quantity, unit_price) -%}
    cast({{ quantity }} * {{ unit_price }} as decimal(38, 18))
{%- endmacro %}

{#- Equal but for what is lost on the way: OpenAI writes amounts as floating point numbers. The
    billionth part of a dollar, or of a larger amount. Multiplied, because taking digits off a
    decimal is fifty times as slow; the product of what differs by more would not fit. -#}
{% macro nearly_equal(amount, other) -%}
    case
        when abs({{ amount }} - {{ other }}) >= 1000000000 then false
        else abs({{ amount }} - {{ other }}) * 1000000000 <= greatest(1, abs({{ amount }}))
    end
{%- endmacro %}
