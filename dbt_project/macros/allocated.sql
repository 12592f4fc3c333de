{#- Money and tokens in whole parts, and how they are dealt out without a part lost. -#}

{#- A decimal(38, 18) in parts of 1e-18, hugeint. Multiplying it would overflow. -#}
{% macro in_parts(amount) -%}
    cast(replace(cast(cast({{ amount }} as decimal(38, 18)) as varchar), '.', '') as hugeint)
{%- endmacro %}

{#- And back. The product has the digits of `parts`, 18 of them behind the point. -#}
{% macro from_parts(parts) -%}
    (cast({{ parts }} as decimal(38, 0)) * cast('0.000000000000000001' as decimal(18, 18)))
{%- endmacro %}

{#- A query for the rows of `participants` with their `share`, hugeint: within each group of `by`
    the shares add up to `amount`, in proportion to `weight`, and what does not divide goes to the
    largest remainders (largest remainder method, as in allocating seats). Of equal remainders the
    first by `tie_breaker` gets it. The shares of a negative amount are those of the positive one,
    negated.

    amount: hugeint, the same in a whole group, at most 38 digits.
    weight: whole numbers from 0.
    total: sum of the group's weights, above 0 and below 2^63.

    amount * weight has too many digits for a hugeint. With amount = quotient * total + rest, a
    share is quotient * weight + rest * weight / total, and there rest < total < 2^63. -#}
{% macro allocated(participants, amount, weight, total, by, tie_breaker) -%}
    select
        * exclude (quotient, dividend, part, whole, remainder),
        cast(
            sign({{ amount }}) * (
                whole
                + case
                    when
                        row_number() over (
                            partition by {{ by | join(', ') }}
                            order by remainder desc, {{ tie_breaker | join(', ') }}
                        ) * cast({{ total }} as hugeint)
                        <= sum(remainder) over (partition by {{ by | join(', ') }})
                        then 1
                    else 0
                end
            ) as hugeint
        ) as share
    from (
        select
            *,
            abs({{ amount }}) // {{ total }} as quotient,
            (abs({{ amount }}) - quotient * {{ total }}) * {{ weight }} as dividend,
            dividend // {{ total }} as part,
            quotient * {{ weight }} + part as whole,
            dividend - part * {{ total }} as remainder
        from {{ participants }}
    ) as divided
{%- endmacro %}
