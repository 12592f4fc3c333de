{#- Columns of a request that hold its tokens, each token in one of them. -#}
{% macro request_measures() -%}
    input_text, cached_input_text, output_text, input_audio, output_audio, input_image,
    cached_input_image, output_image
{%- endmacro %}
