{#- The team and project that own what belongs to nobody registered. -#}
{% macro unallocated() -%}
    'unallocated'
{%- endmacro %}
