"""Fixtures for everything that runs the pipeline."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from coverage import Coverage

if TYPE_CHECKING:
    from finops_pipeline.simulator import Scenario
    from tests.workplace import Workplace

# As the command line does: dbt and Dagster keep hundreds of thousands of objects.
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def only_ours_is_measured() -> Iterator[None]:
    """Coverage looks at every call, the millions of dbt's too, which takes twice the time."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    from dbt.cli.main import dbtRunner

    invoke = dbtRunner.invoke

    def unmeasured(*arguments: Any, **options: Any) -> Any:
        measuring.stop()
        try:
            return invoke(*arguments, **options)
        finally:
            measuring.start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbtRunner, "invoke", unmeasured)
        yield


@pytest.fixture
def make_workplace(tmp_path: Path) -> Iterator[Callable[..., Workplace]]:
    """Makes workplaces: each scenario gets a server and a data directory of its own."""
    # Dagster and dlt take seconds to import, and most tests need neither.
    from tests.workplace import opened_workplace

    with ExitStack() as stack:
        count = 0

        def make(scenario: Scenario, **options: Any) -> Workplace:
            nonlocal count
            count += 1
            folder = tmp_path / f"workplace-{count}"
            return stack.enter_context(opened_workplace(scenario, folder, **options))

        yield make


@pytest.fixture
def workplace(make_workplace: Callable[..., Workplace]) -> Workplace:
    """The demonstration's company in the first quarter of 2026, registered."""
    from finops_pipeline.simulator import Scenario

    return make_workplace(
        Scenario.demo(start=date(2026, 1, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
    )
