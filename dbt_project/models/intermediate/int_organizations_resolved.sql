{{ config(materialized='table') }}

with recursive

scopes as (
    select * from {{ ref('int_key_scopes_seen') }}
),

collections as (
    select * from {{ ref('stg_openai__collections') }}
),

keys as (
    select * from {{ ref('stg_registry__keys') }}
),

teams as (
    select * from {{ ref('stg_registry__teams') }}
),

-- Every team that holds or used a key, and since when. A key that never read anything counts
-- only while it is in force: one that was mistyped and withdrawn opens no organization.
key_teams as (
    select
        key_fingerprint,
        team_id,
        min(collected_at) as since
    from collections
    where status = 'ok' and key_fingerprint is not null
    group by all

    union all

    select
        keys.key_fingerprint,
        keys.team_id,
        keys.created_at as since
    from keys
    left join teams on keys.team_id = teams.team_id
    where
        keys.key_type = 'admin'
        and (
            keys.key_fingerprint in (select scopes.key_fingerprint from scopes)
            or (keys.is_active and coalesce(teams.is_active, true))
        )
),

wire_ids as (
    select
        key_fingerprint,
        organization_id,
        max(last_seen_at) as last_seen_at
    from scopes
    where organization_id is not null
    group by all
),

own_ids as (
    select
        key_teams.key_fingerprint,
        min(key_teams.team_id) as first_team_id,
        min(key_teams.since) as since,
        (
            select
                arg_max(
                    wire_ids.organization_id, (wire_ids.last_seen_at, wire_ids.organization_id)
                )
            from wire_ids
            where wire_ids.key_fingerprint = key_teams.key_fingerprint
        ) as wire_id,
        (
            select min(keys.organization_id)
            from keys
            where keys.key_fingerprint = key_teams.key_fingerprint
        ) as registered_id
    from key_teams
    group by key_teams.key_fingerprint
),

-- What two keys can have in common.
anchors as (
    select
        key_fingerprint,
        'organization' as kind,
        organization_id as anchor_id
    from wire_ids

    union

    select
        key_fingerprint,
        'organization' as kind,
        registered_id as anchor_id
    from own_ids
    where wire_id is null and registered_id is not null

    union

    select
        key_fingerprint,
        'project' as kind,
        openai_project_id as anchor_id
    from scopes
    where openai_project_id is not null
),

-- Each anchor ties its keys to the first of them instead of to one another: the same components
-- from as many ties as keys, where a hundred keys with 500 projects in common would give millions.
hubs as (
    select
        key_fingerprint,
        min(key_fingerprint) over (partition by kind, anchor_id) as hub
    from anchors
),

ties as (
    select
        hub as from_key,
        key_fingerprint as to_key
    from hubs

    union

    select
        key_fingerprint as from_key,
        hub as to_key
    from hubs
),

-- Spreads the smallest fingerprint through each component. `union` drops pairs that were
-- reached before, so it ends for circles too.
reached as (
    select
        key_fingerprint,
        key_fingerprint as component
    from own_ids

    union

    select
        ties.to_key as key_fingerprint,
        reached.component
    from reached
    inner join ties on reached.key_fingerprint = ties.from_key
    where reached.component < ties.to_key
),

components as (
    select
        key_fingerprint,
        min(component) as component
    from reached
    group by key_fingerprint
),

keys_in_components as (
    select
        own_ids.*,
        components.component
    from own_ids
    inner join components on own_ids.key_fingerprint = components.key_fingerprint
),

component_ids as (
    select
        members.component,
        case
            when count(distinct wire_ids.organization_id) = 1 then min(wire_ids.organization_id)
            when
                count(distinct wire_ids.organization_id) = 0
                and count(distinct members.registered_id) = 1
                then min(members.registered_id)
        end as organization_id,
        count(distinct wire_ids.organization_id) > 1
        or (
            count(distinct wire_ids.organization_id) = 0
            and count(distinct members.registered_id) > 1
        ) as is_contradictory
    from keys_in_components as members
    left join wire_ids on members.key_fingerprint = wire_ids.key_fingerprint
    group by members.component
),

-- Two organizations are never merged: where a component names several, each key stays with the
-- one that it names itself, and one that names none stays alone.
named_keys as (
    select
        members.key_fingerprint,
        members.first_team_id,
        members.since,
        case
            when component_ids.is_contradictory
                then coalesce(members.wire_id, members.registered_id)
            else component_ids.organization_id
        end as organization_id,
        case
            when component_ids.is_contradictory then members.key_fingerprint
            else members.component
        end as component
    from keys_in_components as members
    inner join component_ids on members.component = component_ids.component
),

-- A team that moved on to a stranger's key has two nameless organizations: the later ones are
-- told apart by a number.
nameless as (
    select
        component,
        min(first_team_id) as first_team_id,
        row_number() over (
            partition by min(first_team_id) order by min(since), component
        ) as number
    from named_keys
    where organization_id is null
    group by component
),

resolved as (
    select
        named_keys.key_fingerprint,
        coalesce(
            named_keys.organization_id,
            'local-' || nameless.first_team_id
            || case when nameless.number > 1 then '#' || nameless.number else '' end
        ) as organization_id
    from named_keys
    left join nameless on named_keys.component = nameless.component
),

names as (
    select
        resolved.organization_id,
        arg_max(
            scopes.organization_name, (scopes.last_seen_at, scopes.organization_name)
        ) as organization_name
    from resolved
    inner join scopes on resolved.key_fingerprint = scopes.key_fingerprint
    where scopes.organization_name is not null
    group by resolved.organization_id
)

select
    resolved.key_fingerprint,
    resolved.organization_id,
    names.organization_name
from resolved
left join names on resolved.organization_id = names.organization_id
