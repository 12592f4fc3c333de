{#- md5 over the given columns. Each part is written as `<length>:<text>`, null as `-`, so that
    neither a null and an empty text nor a shifted boundary can give the same key. -#}
{% macro surrogate_key(columns) -%}
    md5(concat(
        {%- for column in columns %}
        coalesce(length(cast({{ column }} as varchar)) || ':' || cast({{ column }} as varchar), '-')
        {{- "," if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}
