{#- A model's schema is the one it is configured with, as it is: readers look for `main`,
    not for `main_main`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema if custom_schema_name is none else custom_schema_name | trim }}
{%- endmacro %}
