{#- Project-days with more than the tolerance unexplained, the worst first. -#}
{% test discrepancies(model) %}
    select
        row_number() over (order by absolute_unexplained desc, cost_date, project_id) as rank,
        cost_date,
        team_id,
        project_id,
        openai_project_id,
        costs_v1,
        usage_v1,
        difference,
        unexplained,
        absolute_unexplained
    from {{ model }}
    where status = 'discrepancy'
{% endtest %}
