{#- OpenAI's line items are free text of the form

        [surface | ]model[ modality], kind[, long context]

    Only text that fits the form as a whole is taken apart; anything else (tools, storage, a form
    that is new) keeps model and kind null, so that it can be found and never counts as a model.
    A known surface is recognised in front of any text. -#}

{#- Lower case, single spaces: `GPT-4o ,  Input` and `gpt-4o, input` are the same line. -#}
{% macro line_item_text(line_item) -%}
    regexp_replace(lower(trim({{ line_item }})), '\s+', ' ', 'g')
{%- endmacro %}

{% macro line_item_surface(line_item) -%}
    nullif(
        nullif(
            replace(
                regexp_extract(
                    {{ line_item_text(line_item) }},
                    '^(standard|priority|evals|assistants[ _]api|batch|flex) ?\|',
                    1
                ),
                ' ', '_'
            ),
            ''
        ),
        'standard'
    )
{%- endmacro %}

{#- Struct of model, modality, kind and context; all of them '' where the text has another form. -#}
{% macro line_item_parts(line_item) -%}
    regexp_extract(
        {{ line_item_text(line_item) }},
        '^(?:(?:standard|priority|evals|assistants[ _]api|batch|flex) ?\| ?)?'
        || '([^\s,|]+)(?: (audio|image|text))? ?, ?'
        || '(cached[ _]input|input[ _]cached|(?:input[ _])?cache[ _]writes?|input|output|images)(?:[ _]tokens)?'
        || '( ?, ?long[ _]context)?$',
        ['model', 'modality', 'kind', 'context']
    )
{%- endmacro %}

{% macro line_item_model(parts) -%}
    nullif({{ parts }}.model, '')
{%- endmacro %}

{% macro line_item_modality(parts) -%}
    nullif({{ parts }}.modality, '')
{%- endmacro %}

{#- `cached input` is tested before `input`, which it contains. Images are no tokens. -#}
{% macro line_item_token_kind(parts) -%}
    case
        when {{ parts }}.kind like '%cache%write%' then 'cache_write'
        when {{ parts }}.kind like '%cached%' then 'cached_input'
        when {{ parts }}.kind = 'input' then 'input'
        when {{ parts }}.kind = 'output' then 'output'
    end
{%- endmacro %}

{% macro line_item_context(parts) -%}
    case when {{ parts }}.context != '' then 'long_context' end
{%- endmacro %}
