{#- Team-months with more than the tolerance unexplained, the worst first. -#}
{% test month_discrepancies(model, settings) %}
    with months as (
        select
            team_id,
            currency,
            cast(date_trunc('month', cost_date) as date) as month,
            sum(costs_v1) as costs_v1,
            sum(usage_v1) as usage_v1,
            sum(difference) as difference,
            sum(abs(unexplained)) as unexplained
        from {{ model }}
        where status in ('matched', 'explained', 'discrepancy')
        group by all
    )

    select
        row_number() over (order by months.unexplained desc, months.month, months.team_id) as rank,
        months.month,
        months.team_id,
        months.costs_v1,
        months.usage_v1,
        months.difference,
        months.unexplained
    from months
    cross join {{ settings }} as settings
    where
        months.unexplained > greatest(
            abs(months.costs_v1) * settings.tolerance, settings.tolerance_floor
        )
{% endtest %}
