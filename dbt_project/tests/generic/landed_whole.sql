{#- Every reading has as many rows as the ledger counted when they arrived. -#}
{% test landed_whole(model, rows) %}
    with landed as (
        select revision_id, sum(row_count) as row_count
        from {{ rows }}
        group by revision_id
    )

    select
        readings.revision_id,
        readings.row_count as counted,
        landed.row_count as landed
    from {{ model }} as readings
    left join landed on readings.revision_id = landed.revision_id
    where coalesce(readings.row_count, 0) != coalesce(landed.row_count, 0)
{% endtest %}
