{#- Of the days that a fact follows, no answer tells more tokens of one sort than it tells in all. -#}
{% test parts_within_whole(model, answers, changed) %}
    select
        row_number() over (order by cost_date desc, openai_project_id, model) as rank,
        endpoint,
        cost_date,
        revision_id,
        openai_project_id,
        model
    from {{ answers }}
    where
        cost_date in (select cost_date from {{ changed }})
        and (
            input_tokens
            < coalesce(input_cached_tokens, 0)
            + coalesce(input_cache_write_tokens, 0)
            + coalesce(input_audio_tokens, 0)
            + coalesce(input_image_tokens, 0)
            or output_tokens < coalesce(output_audio_tokens, 0) + coalesce(output_image_tokens, 0)
            or input_cached_tokens
            < coalesce(input_cached_audio_tokens, 0) + coalesce(input_cached_image_tokens, 0)
        )
{% endtest %}
