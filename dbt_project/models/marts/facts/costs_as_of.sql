{{ config(
    materialized='table_function',
    parameters='moment',
    contract={'enforced': false}
) }}

-- Without the name of the database: that of the working copy is not that of the published file.
{{ costs_as_of(
    'cast(moment as timestamptz)',
    ref('fct_costs').include(database=false),
    ref('fct_superseded_costs').include(database=false),
    ref('rpt_revisions').include(database=false)
) }}
