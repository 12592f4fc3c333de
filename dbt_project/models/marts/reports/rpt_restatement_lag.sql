with revisions as (
    select * from {{ ref('rpt_revisions') }}
),

sightings as (
    select * from {{ ref('int_costs_sightings') }}
),

-- Amounts in one currency: that of the organization's newest bucket.
currencies as (
    select
        organization_id,
        arg_max(currency, cost_date) as currency
    from sightings
    group by organization_id
),

-- What is settled, because only that has a final amount. Days that were read before they were
-- over count as read at their end.
buckets as (
    select
        sightings.organization_id,
        sightings.cost_date,
        sightings.cost as final_cost,
        currencies.currency,
        {{ age_in_days('sightings.newest_ok_at', 'sightings.cost_date') }} as last_age
    from sightings
    inner join currencies on sightings.organization_id = currencies.organization_id
    where sightings.is_settled and sightings.cost is not null
),

changes as (
    select
        buckets.organization_id,
        buckets.cost_date,
        buckets.last_age,
        buckets.final_cost,
        revisions.revision = 1 as is_first,
        {{ age_in_days('revisions.known_from', 'buckets.cost_date') }} as age,
        revisions.cost
        - coalesce(
            lag(revisions.cost) over (
                partition by revisions.organization_id, revisions.cost_date
                order by revisions.revision
            ),
            0
        ) as change,
        bool_and(
            revisions.cost is not null and coalesce(revisions.currency, buckets.currency)
            = buckets.currency
        ) over (
            partition by revisions.organization_id, revisions.cost_date
        ) as is_comparable
    from buckets
    inner join revisions
        on
            buckets.organization_id = revisions.organization_id
            and buckets.cost_date = revisions.cost_date
),

-- Few combinations, however many days there are.
combined as (
    select
        organization_id,
        age,
        last_age,
        sum(change) as change,
        coalesce(sum(final_cost) filter (where is_first), 0) as final_cost,
        count(*) filter (where is_first) as bucket_count
    from changes
    where is_comparable
    group by organization_id, age, last_age
),

-- A bucket counts at each age from its first reading to its last one.
by_age as (
    select
        organization_id,
        last_age,
        change,
        final_cost,
        bucket_count,
        unnest(range(age, last_age + 1)) as age_days
    from combined
)

select
    organization_id,
    cast(age_days as integer) as age_days,
    cast(sum(change) as double) / nullif(cast(sum(final_cost) as double), 0) as known_share,
    cast(sum(bucket_count) as bigint) as bucket_count,
    cast(min(last_age) as integer) as observed_days
from by_age
group by organization_id, age_days
