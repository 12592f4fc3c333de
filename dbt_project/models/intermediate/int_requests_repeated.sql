{{ config(
    materialized='changed_buckets',
    changed='int_loads_changed',
    key=['load_id']
) }}

with loads as (
    select * from {{ ref('int_loads_changed') }}
),

requests as (
    select * from {{ ref('stg_requests__requests') }}
),

-- Hashes are short: of all ids together they take a fraction of the memory.
landed as (
    select hash(requests.request_id) as request_hash
    from loads
    inner join requests on loads.load_id = requests.load_id
),

suspects as (
    select hash(requests.request_id) as request_hash
    from requests
    where hash(requests.request_id) in (select landed.request_hash from landed)
    group by request_hash
    having count(*) > 1
),

tellings as (
    select
        requests.request_id,
        requests.cost_date,
        requests.file_id,
        requests.line_number,
        requests.load_id as told_in,
        row_number() over (
            partition by requests.request_id
            order by requests.landed_at, requests.file_id, requests.line_number, requests.load_id
        ) as telling,
        max(loads.load_id) over (partition by requests.request_id) as load_id
    from requests
    left join loads on requests.load_id = loads.load_id
    where hash(requests.request_id) in (select suspects.request_hash from suspects)
)

select
    load_id,
    request_id,
    cost_date,
    file_id,
    line_number,
    told_in
from tellings
where telling > 1
