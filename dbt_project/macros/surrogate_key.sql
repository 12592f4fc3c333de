{#- md5 over the given columns as a JSON list: null, an empty text and a shifted boundary all
    read differently there. -#}
{% macro surrogate_key(columns) -%}
    md5(cast(to_json([
        {%- for column in columns %}
        cast({{ column }} as varchar){{ "," if not loop.last }}
        {%- endfor %}
    ]) as varchar))
{%- endmacro %}
