{#- Per organization and day, the costs_v1 rows add up to what the chosen reading of the ledger
    summed when it arrived, in its currency. A reading in several currencies has no sum in the
    ledger; its rows are still held by `landed_whole`. -#}
{% test billed_as_sighted(model, sightings, sightings_where='true') %}
    with billed as (
        select
            organization_id,
            cost_date,
            min(currency) as lowest_currency,
            max(currency) as highest_currency,
            sum(cost) as cost
        from {{ model }}
        where api_version = 'costs_v1'
        group by organization_id, cost_date
    ),

    sighted as (
        select
            organization_id,
            cost_date,
            currency,
            cost
        from {{ sightings }}
        where {{ sightings_where }}
    )

    select
        coalesce(billed.organization_id, sighted.organization_id) as organization_id,
        coalesce(billed.cost_date, sighted.cost_date) as cost_date,
        billed.cost as billed_cost,
        sighted.cost as sighted_cost
    from billed
    full outer join sighted
        on
            billed.organization_id = sighted.organization_id
            and billed.cost_date = sighted.cost_date
    where
        sighted.organization_id is null
        or sighted.cost != coalesce(billed.cost, 0)
        or (
            sighted.cost is not null
            and (
                billed.lowest_currency != sighted.currency
                or billed.highest_currency != sighted.currency
            )
        )
{% endtest %}
