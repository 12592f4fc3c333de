{#- Team-months with more than the tolerance unexplained, the worst first. A gap below the floor
    never counts, however many there are. -#}
{% test month_discrepancies(model, settings) %}
    with months as (
        select
            days.team_id,
            days.currency,
            cast(date_trunc('month', days.cost_date) as date) as month,
            any_value(settings.tolerance) as tolerance,
            any_value(settings.tolerance_floor) as tolerance_floor,
            sum(days.costs_v1) as costs_v1,
            sum(days.usage_v1) as usage_v1,
            sum(days.difference) as difference,
            sum(
                case
                    when days.status = 'discrepancy' then days.absolute_unexplained
                    when abs(days.difference) > settings.tolerance_floor
                        then abs(days.unexplained)
                    else 0
                end
            ) as unexplained
        from {{ model }} as days
        cross join {{ settings }} as settings
        where days.status in ('matched', 'explained', 'discrepancy')
        group by days.team_id, days.currency, date_trunc('month', days.cost_date)
    )

    select
        row_number() over (order by unexplained desc, month, team_id) as rank,
        month,
        team_id,
        costs_v1,
        usage_v1,
        difference,
        unexplained
    from months
    where unexplained > greatest(abs(costs_v1) * tolerance, tolerance_floor)
{% endtest %}
