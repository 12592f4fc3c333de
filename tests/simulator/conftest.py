from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, localcontext
from typing import Any

import httpx
import pytest

from finops_pipeline.simulator import Control, Scenario, SimulatedServer
from finops_pipeline.simulator.model import SimulatedOrganization

NOW = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
START = date(2025, 11, 20)
FINEST = ("project_id", "line_item", "api_key_id")


@dataclass
class Company:
    """A running simulator and a client that asks it as a team would."""

    server: SimulatedServer
    http: httpx.Client
    now: datetime = NOW
    start: date = START

    @property
    def control(self) -> Control:
        return self.server.control

    @property
    def organization(self) -> SimulatedOrganization:
        """The organization that the first key opens."""
        return self.server.scenario.organizations[0]

    @property
    def keys(self) -> list[str]:
        return [key for each in self.server.scenario.organizations for key in each.admin_keys]

    def get(self, path: str, *, key: str | None = None, params: Any = None) -> httpx.Response:
        return self.http.get(
            self.server.base_url + path,
            params=params,
            headers={"Authorization": f"Bearer {key or self.keys[0]}"},
        )

    def costs(
        self,
        start: date | int | None = None,
        end: date | int | None = None,
        *,
        group_by: tuple[str, ...] = FINEST,
        key: str | None = None,
        **others: Any,
    ) -> httpx.Response:
        params: list[tuple[str, str]] = [("group_by[]", name) for name in group_by]
        for name, bound in (("start_time", start), ("end_time", end)):
            if bound is not None:
                params.append((name, str(bound if isinstance(bound, int) else self.unix(bound))))
        params += [(name, str(value)) for name, value in others.items()]
        return self.get("/organization/costs", key=key, params=params)

    def buckets(self, start: date, end: date | None = None, **others: Any) -> list[dict[str, Any]]:
        """All buckets of a window, page after page, with amounts as exact literals."""
        found: list[dict[str, Any]] = []
        page = None
        while True:
            turned: dict[str, str] = {} if page is None else {"page": page}
            answer = self.costs(start, end, **{"limit": 180, **others, **turned})
            assert answer.status_code == 200, answer.text
            content = self.exact(answer)
            found += content["data"]
            page = content["next_page"]
            if not content["has_more"]:
                return found

    def rows(self, day: date, **others: Any) -> list[dict[str, Any]]:
        """The results of one day's bucket."""
        answer = self.costs(day, limit=1, **others)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = self.exact(answer)["data"][0]["results"]
        return results

    @staticmethod
    def unix(day: date) -> int:
        return int(datetime.combine(day, time(), tzinfo=UTC).timestamp())

    @staticmethod
    def exact(answer: httpx.Response) -> dict[str, Any]:
        content: dict[str, Any] = answer.json(parse_float=Decimal)
        return content


@pytest.fixture(autouse=True)
def _exact_sums() -> Iterator[None]:
    """Sums in tests keep every digit, as those that they are compared with do."""
    with localcontext(prec=100):
        yield


@pytest.fixture
def open_company() -> Iterator[Callable[[Scenario], Company]]:
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(trust_env=False))

        def opened(scenario: Scenario) -> Company:
            return Company(stack.enter_context(SimulatedServer(scenario)), client)

        yield opened


@pytest.fixture
def company(unchanging: Company) -> Iterator[Company]:
    """The company for tests that change it: afterwards it is as it was."""
    yield unchanging
    unchanging.control.reset()


@pytest.fixture(scope="session")
def unchanging() -> Iterator[Company]:
    """The company for tests that only read."""
    with (
        httpx.Client(trust_env=False) as client,
        SimulatedServer(Scenario.demo(start=START, now=NOW)) as server,
    ):
        yield Company(server, client)
