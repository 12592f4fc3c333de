with build_settings as (
    select * from {{ ref('stg_pipeline__build_settings') }}
),

organization_days as (
    select * from {{ ref('int_organization_days_covered') }}
),

complete_days as (
    select cost_date
    from organization_days
    group by cost_date
    having bool_and(is_covered)
)

select
    built_at,
    run_id,
    contract_version,
    cost_source,
    (select max(cost_date) from complete_days) as newest_complete_date
from build_settings
