{#- Days are UTC whatever the session's time zone is. -#}

{#- The UTC date on which a moment (timestamptz) falls. -#}
{% macro utc_date(moment) -%}
    cast({{ moment }} at time zone 'UTC' as date)
{%- endmacro %}

{#- The midnight (timestamptz) at which a UTC day is over. -#}
{% macro day_end(day) -%}
    (cast({{ day }} + 1 as timestamp) at time zone 'UTC')
{%- endmacro %}

{#- A number of days as 24-hour spans: a calendar interval would depend on the session's zone. -#}
{% macro days_long(days) -%}
    to_hours(24 * {{ days }})
{%- endmacro %}

{#- Whole days from the end of a UTC day to a moment, 0 for a moment before that end. -#}
{% macro age_in_days(moment, day) -%}
    greatest(
        cast(floor((epoch_us({{ moment }}) - epoch_us({{ day_end(day) }})) / 86400000000) as bigint), 0
    )
{%- endmacro %}
