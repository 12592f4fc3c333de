{#- Tools, storage and sessions: what by nature is billed without a model. The lower-case text
    without its surface must be exactly one of these. -#}
{% macro is_tool(line_item) -%}
    regexp_matches(
        {{ line_item_text(line_item) }},
        '^(?:(?:standard|priority|evals|assistants[ _]api|responses[ _]api|batch|flex) ?\| ?)?'
        || '(?:web search(?: preview)?(?: tool)?(?: calls?)?'
        || '|file search(?: tool)?(?: calls?)?(?: storage)?'
        || '|vector (?:store )?storage|vector stores?'
        || '|code interpreter(?: tool)?(?: sessions?)?'
        || '|containers?(?: sessions?)?'
        || '|computer use(?: tool)?(?: calls?)?'
        || '|image models|image generation(?: tool)?(?: calls?)?'
        || ')$'
    )
{%- endmacro %}
