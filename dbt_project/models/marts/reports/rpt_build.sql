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
),

newest_complete_days as (
    select max(cost_date) as newest_complete_date
    from complete_days
)

select
    build_settings.built_at,
    build_settings.run_id,
    build_settings.contract_version,
    build_settings.cost_source,
    newest_complete_days.newest_complete_date
from build_settings
cross join newest_complete_days
