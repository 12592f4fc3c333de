with build_settings as (
    select * from {{ source('raw', 'build_settings') }}
)

select
    run_id,
    built_at,
    contract_version,
    cost_source,
    settle_days,
    tolerance,
    tolerance_floor,
    request_tolerance,
    -- The newest day that was over when the build started.
    {{ utc_date('built_at') }} - 1 as as_of_date
from build_settings
