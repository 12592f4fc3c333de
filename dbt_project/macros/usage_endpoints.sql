{#- The endpoints of the Usage API, as the ledger names them. -#}
{% macro usage_endpoints() -%}
    (
        'completions', 'embeddings', 'moderations', 'images', 'audio_speeches',
        'audio_transcriptions', 'vector_stores', 'code_interpreter_sessions', 'file_search_calls',
        'web_search_calls'
    )
{%- endmacro %}

{#- Those of them that count what models are paid by; the others count tools and storage. -#}
{% macro model_endpoints() -%}
    (
        'completions', 'embeddings', 'moderations', 'images', 'audio_speeches',
        'audio_transcriptions'
    )
{%- endmacro %}

{#- The endpoint that counts a kind of quantity of a model. -#}
{% macro endpoint_of(model, token_kind) -%}
    case
        when {{ token_kind }} = 'seconds' then 'audio_transcriptions'
        when {{ token_kind }} = 'characters' then 'audio_speeches'
        when {{ token_kind }} = 'images' then 'images'
        when {{ model }} like '%embedding%' then 'embeddings'
        when {{ model }} like '%moderation%' then 'moderations'
        else 'completions'
    end
{%- endmacro %}

{#- Whether a line is billed by the token while the usage of its model is counted in seconds or
    characters: the endpoints of transcriptions and speeches tell no tokens. -#}
{% macro is_counted_otherwise(model, quantity_unit) -%}
    (
        coalesce({{ quantity_unit }} in ('tokens', '1000_tokens'), false)
        and coalesce({{ model }} like '%transcribe%' or {{ model }} like '%tts%', false)
    )
{%- endmacro %}
