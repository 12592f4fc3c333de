"""Which keys open one organization. One build; the scenarios share nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.dbt.conftest import Marts, at, cost

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


@pytest.fixture(scope="module")
def marts(new_warehouse) -> Marts:  # type: ignore[no-untyped-def]
    warehouse = new_warehouse()
    warehouse.settings(date(2026, 3, 20))

    def team(name: str, **key: str) -> None:
        warehouse.team(name)
        warehouse.key(name, f"key-{name}", **key)

    def read(  # type: ignore[no-untyped-def]
        name: str, rows: list, hour: int = 1, day: date = DAY, key: str | None = None, **more
    ) -> None:
        warehouse.read(name, day, rows, at(day, hour, days=1), key=key or f"key-{name}", **more)

    # One organization, seen around a restatement.
    for name in ("wired-1", "wired-2"):
        team(name)
    read("wired-1", [cost("1", "w1"), cost("2", "w2")], 1, organization_id="org-wired")
    read("wired-2", [cost("1", "w1"), cost("5", "w3")], 2, organization_id="org-wired")
    for name in ("silent-1", "silent-2"):
        team(name)
    read("silent-2", [cost("1", "s1"), cost("2", "s2")], 1)
    read("silent-1", [cost("4", "s1")], 2)
    # An empty reading has the organization of its key, and is newest.
    for name in ("hollow-1", "hollow-2"):
        team(name)
    read("hollow-1", [cost("1", "h")], 1, organization_id="org-hollow")
    read("hollow-2", [cost("1", "h")], 1, NEXT, organization_id="org-hollow")
    read("hollow-2", [], 2)
    # A and C have nothing in common but B.
    for name in ("chain-a", "chain-b", "chain-c"):
        team(name)
    read("chain-a", [cost("1", "ab")], 1)
    read("chain-b", [cost("1", "ab")], 1, NEXT)
    read("chain-b", [cost("7", "bc")], 2)
    read("chain-c", [cost("7", "bc"), cost("1", "c")], 3)
    # Two organizations, both with organization-level rows.
    for name in ("null-1", "null-2"):
        team(name)
        read(name, [cost("1.25")])
    for name in ("null-3", "null-4"):
        team(name)
        read(name, [cost("1.25", organization_name=name.title())], organization_id=f"org-{name}")
    # Known from registration alone, one of them shared.
    team("told-1", organization_id="org-told")
    team("told-2", organization_id="org-told")
    read("told-1", [cost("1")], 1)
    read("told-2", [cost("3")], 2)
    # The wire is right where it contradicts the registration.
    team("moved", organization_id="org-before")
    read("moved", [cost("1")], organization_id="org-now")
    # One team, a key of one organization after the other.
    team("rotated")
    read("rotated", [cost("1")], 1)
    read("rotated", [cost("2")], 2, key="key-rotated-later")
    # What cannot be: one project in two organizations.
    for name in ("odd-1", "odd-2"):
        team(name)
        read(name, [cost("1", "odd")], organization_id=f"org-{name}")
    # Two teams with the same key.
    team("same-1")
    warehouse.team("same-2", "key-same-1")
    read("same-1", [cost("1")], 1)
    read("same-2", [cost("2")], 2, key="key-same-1")
    # Seen in a list of projects only.
    for name in ("listed-1", "listed-2"):
        team(name)
        warehouse.tables["openai_projects"].append(
            {
                "team_id": name,
                "key_fingerprint": f"key-{name}",
                "project_id": "proj_listed",
                "project_name": "Listed",
                "collected_at": at(DAY),
                "_dlt_load_id": warehouse.load(),
            }
        )
    read("listed-1", [cost("1")], 1)
    read("listed-2", [cost("2")], 2)
    return warehouse.build()


def by_organization(marts: Marts, like: str) -> list[tuple[object, ...]]:
    return marts.query(
        "select organization_id, sum(cost) from fct_costs"
        f" where organization_id like '{like}' and cost_date = '{DAY}' group by 1 order by 1"
    )


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ("org-wired", [("org-wired", "6")]),
        ("local-silent%", [("local-silent-1", "4")]),
        ("org-hollow", []),
        ("local-chain%", [("local-chain-a", "8")]),
        ("local-null%", [("local-null-1", "1.25"), ("local-null-2", "1.25")]),
        ("org-null%", [("org-null-3", "1.25"), ("org-null-4", "1.25")]),
        ("org-told", [("org-told", "3")]),
        ("org-now", [("org-now", "1")]),
        ("org-before", []),
        ("local-rotated%", [("local-rotated", "1"), ("local-rotated#2", "2")]),
        ("org-odd%", [("org-odd-1", "1"), ("org-odd-2", "1")]),
        ("local-same%", [("local-same-1", "2")]),
        ("local-listed%", [("local-listed-1", "2")]),
    ],
)
def test_each_organization_is_its_newest_reading_as_a_whole(
    marts: Marts, like: str, expected: list[tuple[str, str]]
) -> None:
    assert by_organization(marts, like) == [(name, Decimal(total)) for name, total in expected]


def test_rows_of_two_readings_are_never_mixed(marts: Marts) -> None:
    assert marts.rows("fct_costs", "openai_project_id", "organization_id = 'org-wired'") == [
        ("proj_w1",),
        ("proj_w3",),
    ]


def test_organizations_carry_their_name(marts: Marts) -> None:
    assert marts.rows("dim_organizations", where="organization_id like 'org-null%'") == [
        ("org-null-3", "Null-3"),
        ("org-null-4", "Null-4"),
    ]


def test_every_reading_is_listed_with_its_organization(marts: Marts) -> None:
    assert marts.rows("rpt_collections", "organization_id", "team_id = 'hollow-2'") == [
        ("org-hollow",),
        ("org-hollow",),
    ]
    assert marts.query(
        "select count(*) from rpt_collections left join dim_organizations using (organization_id)"
        " where dim_organizations.organization_id is null"
    ) == [(0,)]
