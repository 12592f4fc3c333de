{#- Incremental facts follow what changed, whenever it was read: a watermark on dates would skip
    what was read first and landed last.

    A fact consists of buckets, such as the days of organizations. A model says what each bucket
    is made from: its key, a `signature` of everything that decides its rows, and its `row_count`.
    `changed_buckets` compares that with what the fact remembers (table of the model's name, schema
    `internal`, in the file of the facts); the materialization `changed_buckets` replaces the rows
    of these buckets, those that are gone included.

    A fact with other columns or another logic begins anew, because a build never continues the
    file of another state of this project. -#}

{#- Buckets that differ from what was remembered, all of them where nothing was; `signature` is
    null where a bucket is gone. For a model that others name as `changed`. -#}
{% macro changed_buckets(buckets, key) -%}
    {%- set memory = none -%}
    {%- if execute -%}
        {%- set memory = adapter.get_relation(target.database, 'internal', this.identifier) -%}
    {%- endif -%}
    {%- if memory is none -%}
    select * from {{ buckets }}
    {%- else -%}
    select
        {{ key | join(', ') }},
        buckets.* exclude ({{ key | join(', ') }})
    from {{ buckets }} as buckets
    full outer join {{ memory }} as remembered using ({{ key | join(', ') }})
    where buckets.signature is distinct from remembered.signature
    {%- endif -%}
{%- endmacro %}

{#- A table whose rows of changed buckets are deleted and inserted again.

    changed: model made with `changed_buckets`, upstream.
    key: columns of it that the table has as well.
    rows_per_batch: for a `key` with a `cost_date`: days are inserted in groups of about so many
        rows. That bounds memory, and keeps days together: reading or replacing a few of them
        touches few parts of a long table. Of groups of 250,000 cost rows DuckDB wrote everything
        twice; a million is right for what is not sorted and joined on its way.
    remembers: whether the buckets count as built once this table has its rows. Of the tables
        that follow the same model only one remembers, all of them live in the same file, and a
        file is published once all of its tables are built. -#}
{% materialization changed_buckets, adapter='duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set table = this.incorporate(type='table') -%}
    {%- set changed = ref(config.require('changed')) -%}
    {%- set key = config.require('key') -%}

    {%- call statement('main') -%}
        {%- if existing is none -%}
            {{ create_table_as(False, table, 'select * from (' ~ sql ~ ') as model limit 0') }}
        {%- else -%}
            delete from {{ table }} as built
            using (select distinct {{ key | join(', ') }} from {{ changed }}) as changed
            where
                {%- for column in key %}
                {{ "and " if not loop.first }}built.{{ column }} = changed.{{ column }}
                {%- endfor %}
        {%- endif -%}
    {%- endcall -%}

    {%- set columns = adapter.get_columns_in_relation(table) | map(attribute='quoted') | join(', ') -%}
    {%- set rows_per_batch = config.get('rows_per_batch') -%}
    {%- set batches = days_in_batches(changed, rows_per_batch) if rows_per_batch else ['true'] -%}
    {%- for batch in batches -%}
        {%- call statement('batch') -%}
            insert into {{ table }} ({{ columns }})
            select {{ columns }} from ({{ sql }}) as model where {{ batch }}
        {%- endcall -%}
    {%- endfor -%}

    {%- if config.get('remembers', false) -%}
        {{ remember(changed, key) }}
    {%- endif -%}

    {{ adapter.commit() }}
    {{ return({'relations': [table]}) }}
{% endmaterialization %}

{#- Conditions on `cost_date`, one for each group of neighbouring changed days. -#}
{% macro days_in_batches(changed, rows_per_batch) -%}
    {%- set days = run_query(
        'with days as (select cost_date, coalesce(sum(row_count), 0) as row_count from '
        ~ changed ~ ' group by cost_date), numbered as (select cost_date, '
        ~ '(sum(row_count) over (order by cost_date) - row_count) // ' ~ rows_per_batch
        ~ ' as batch from days) '
        ~ 'select min(cost_date), max(cost_date) from numbered group by batch order by batch'
    ) -%}
    {%- set batches = [] -%}
    {%- for first, last in days.rows -%}
        {%- do batches.append("cost_date between '" ~ first ~ "' and '" ~ last ~ "'") -%}
    {%- endfor -%}
    {{ return(batches) }}
{%- endmacro %}

{#- Writes down which buckets the file has now, in the transaction that wrote their rows. -#}
{% macro remember(changed, key) -%}
    {%- set memory = api.Relation.create(
        database=target.database, schema='internal', identifier=changed.identifier
    ) -%}
    {%- call statement('memory') -%}
        create schema if not exists {{ memory.without_identifier() }};
        create table if not exists {{ memory }} as
        select {{ key | join(', ') }}, signature from {{ changed }} limit 0;
        delete from {{ memory }} as remembered using {{ changed }} as changed
        where
            {%- for column in key %}
            {{ "and " if not loop.first }}remembered.{{ column }} = changed.{{ column }}
            {%- endfor %};
        insert into {{ memory }}
        select {{ key | join(', ') }}, signature from {{ changed }} where signature is not null
    {%- endcall -%}
{%- endmacro %}
