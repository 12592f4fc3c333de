{{ config(materialized='table') }}

with changed as (
    select * from {{ ref('int_reconciliation_changed') }}
),

distances as (
    select unnest([-2, -1, 0, 1, 2]) as distance
)

select distinct
    changed.organization_id,
    changed.cost_date + distances.distance as cost_date
from changed
cross join distances
