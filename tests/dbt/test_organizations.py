"""Which keys open one organization. One build; the scenarios share nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.dbt.conftest import Marts, Warehouse, at, cost

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


@dataclass
class Organizations:
    """Teams with a key each, named after them."""

    warehouse: Warehouse

    def teams(self, *names: str, **key: str) -> None:
        for name in names:
            self.warehouse.team(name)
            self.warehouse.key(name, f"key-{name}", **key)

    def read(
        self,
        name: str,
        rows: list[dict[str, Any]],
        hour: int,
        *,
        wire: str | None = None,
        day: date = DAY,
        key: str | None = None,
    ) -> None:
        when = at(day, hour, days=1)
        key = key or f"key-{name}"
        self.warehouse.read(name, day, rows, when, key=key, organization_id=wire)

    def list_project(self, name: str, project_id: str) -> None:
        self.warehouse.tables["openai_projects"].append(
            {
                "team_id": name,
                "key_fingerprint": f"key-{name}",
                "project_id": project_id,
                "collected_at": at(DAY),
                "_dlt_load_id": self.warehouse.load(),
            }
        )


def one_organization_seen_by_several(them: Organizations) -> None:
    them.teams("wired-1", "wired-2", "silent-1", "silent-2", "hollow-1", "hollow-2")
    # Around a restatement, with the organization on the wire and without.
    them.read("wired-1", [cost("1", "w1"), cost("2", "w2")], 1, wire="org-wired")
    them.read("wired-2", [cost("1", "w1"), cost("5", "w3")], 2, wire="org-wired")
    them.read("silent-2", [cost("1", "s1"), cost("2", "s2")], 1)
    them.read("silent-1", [cost("4", "s1")], 2)
    # An empty reading has the organization of its key, and is newest.
    them.read("hollow-1", [cost("1", "h")], 1, wire="org-hollow")
    them.read("hollow-2", [cost("1", "h")], 1, wire="org-hollow", day=NEXT)
    them.read("hollow-2", [], 2)
    # A and C have nothing in common but B.
    them.teams("chain-a", "chain-b", "chain-c")
    them.read("chain-a", [cost("1", "ab")], 1)
    them.read("chain-b", [cost("1", "ab")], 1, day=NEXT)
    them.read("chain-b", [cost("7", "bc")], 2)
    them.read("chain-c", [cost("7", "bc"), cost("1", "c")], 3)
    # Known from registration alone.
    them.teams("told-1", "told-2", organization_id="org-told")
    them.read("told-1", [cost("1")], 1)
    them.read("told-2", [cost("3")], 2)
    # Two teams with the same key; two that only listed a common project.
    them.teams("same-1", "listed-1", "listed-2")
    them.warehouse.team("same-2", "key-same-1")
    them.read("same-1", [cost("1")], 1)
    them.read("same-2", [cost("2")], 2, key="key-same-1")
    for number, name in enumerate(["listed-1", "listed-2"], start=1):
        them.list_project(name, "proj_listed")
        them.read(name, [cost(str(number))], number)


def several_organizations(them: Organizations) -> None:
    # Equal organization-level rows, with the organization on the wire and without.
    them.teams("null-1", "null-2", "null-3", "null-4")
    for name in ("null-1", "null-2"):
        them.read(name, [cost("1.25")], 1)
    for name in ("null-3", "null-4"):
        them.read(name, [cost("1.25", organization_name=name.title())], 1, wire=f"org-{name}")
    # The wire is right where it contradicts the registration.
    them.teams("moved", organization_id="org-before")
    them.read("moved", [cost("1")], 1, wire="org-now")
    # One team, a key of one organization after the other.
    them.teams("rotated")
    them.read("rotated", [cost("1")], 1)
    them.read("rotated", [cost("2")], 2, key="key-rotated-later")
    # What cannot be: one project in two organizations. A third key that names none stays alone.
    them.teams("odd-1", "odd-2", "odd-3")
    for name in ("odd-1", "odd-2"):
        them.read(name, [cost("1", "odd")], 1, wire=f"org-{name}")
    them.read("odd-3", [cost("1", "odd")], 1)


@pytest.fixture(scope="module")
def marts(new_warehouse: Callable[[], Warehouse]) -> Marts:
    them = Organizations(new_warehouse())
    them.warehouse.settings(date(2026, 3, 20))
    one_organization_seen_by_several(them)
    several_organizations(them)
    return them.warehouse.run()


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
        ("local-odd%", [("local-odd-3", "1")]),
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
