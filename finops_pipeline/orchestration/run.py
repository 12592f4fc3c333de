"""The jobs in one process, as the command line runs them: collect some days, then build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import dagster as dg

from finops_pipeline.errors import FinopsError
from finops_pipeline.ingestion.outcome import Collection
from finops_pipeline.ingestion.request_outcome import RequestLanding
from finops_pipeline.orchestration.asset_keys import LEGACY_KEY, OPENAI_OP
from finops_pipeline.orchestration.build import build_definitions
from finops_pipeline.orchestration.instance import process_tags
from finops_pipeline.orchestration.jobs import BUILD, COLLECT, COLLECT_LEGACY, LOAD_REQUESTS
from finops_pipeline.orchestration.legacy import LEGACY_OP
from finops_pipeline.orchestration.pipeline import Pipeline
from finops_pipeline.orchestration.resuming import Resumption, newest_broken_off, range_tags


@dataclass(frozen=True)
class DateRange:
    """UTC days, both inclusive."""

    start: date
    end: date


class Runner:
    """Runs the jobs of one pipeline in this process and records them on the instance.

    Args:
        console_level: What Dagster's own log prints: ``CRITICAL`` for nothing in practice.
    """

    def __init__(
        self, pipeline: Pipeline, instance: dg.DagsterInstance, *, console_level: str = "CRITICAL"
    ) -> None:
        self._collections: list[Collection] = []
        self._landings: list[RequestLanding] = []
        self._definitions = build_definitions(
            replace(
                pipeline,
                on_collected=self._collections.append,
                on_requests_landed=self._landings.append,
            ),
            console_level=console_level,
        )
        self._instance = instance

    def collect(
        self,
        days: DateRange,
        teams: Sequence[str] = (),
        *,
        assets: Sequence[dg.AssetKey] = (),
        endpoints: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> Collection:
        """Run the job ``collect``, or ``collect_legacy_usage``; the result has who failed.

        Args:
            assets: The raw assets to read; none: costs and usage.
            endpoints: Which of their endpoints; none: all of them. Not for legacy usage.
            tags: More tags of the run, as those of a :class:`Resumption`.

        Raises:
            FinopsError: nothing was collected, because the run itself could not work.
            KeyboardInterrupt: it was interrupted; what has landed stays.
        """
        self._collections.clear()
        job, op = _job_of(assets)
        chosen = {"teams": list(teams)} | ({"endpoints": list(endpoints)} if endpoints else {})
        result = self._execute(
            job,
            {"ops": {op: {"config": chosen}}},
            {**range_tags(days.start, days.end), **(tags or {})},
            assets,
        )
        if not self._collections:
            raise _failure(result, job)
        return self._collections[0]

    def newest_broken_off(self, assets: Sequence[dg.AssetKey] = ()) -> Resumption:
        """What to resume of the job that reads ``assets``: see :func:`newest_broken_off`.

        Raises:
            UsageError: there is nothing.
        """
        job, op = _job_of(assets)
        return newest_broken_off(self._instance, job=job, op=op)

    def load_requests(self) -> RequestLanding:
        """Run the job ``load_requests``; files and lines that failed are in the result.

        Raises:
            FinopsError: nothing was landed, because the run itself could not work.
            KeyboardInterrupt: it was interrupted; what has landed stays.
        """
        self._landings.clear()
        # Any day will do: the files say which days they are of.
        today = datetime.now(UTC).date()
        result = self._execute(LOAD_REQUESTS, {}, range_tags(today, today))
        if not self._landings:
            raise _failure(result, LOAD_REQUESTS)
        return self._landings[0]

    def build(self) -> None:
        """Run the job ``build``: models, tests, publishing.

        Raises:
            FinopsError: a model or a test failed; the published file stays as it was.
        """
        result = self._execute(BUILD, {}, {})
        if not result.success:
            raise _failure(result, BUILD)

    def _execute(
        self,
        job: str,
        config: Mapping[str, object],
        tags: dict[str, str],
        assets: Sequence[dg.AssetKey] = (),
    ) -> dg.ExecuteInProcessResult:
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            raise_on_error=False,
            asset_selection=list(assets) or None,
            tags={**tags, **process_tags(self._instance)},
            # Named, because Dagster otherwise prints with a logger of its own.
            run_config={**config, "loggers": {"console": {}}},
        )
        if any(map(_is_interrupt, result.all_events)):
            raise KeyboardInterrupt
        return result


def _job_of(assets: Sequence[dg.AssetKey]) -> tuple[str, str]:
    """The job that reads some raw assets, and its op, which takes the teams."""
    return (COLLECT_LEGACY, LEGACY_OP) if LEGACY_KEY in assets else (COLLECT, OPENAI_OP)


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether a step ended because of an interrupt, which Dagster turns into a failure."""
    if not event.is_step_failure:
        return False
    error = event.step_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _failure(result: dg.ExecuteInProcessResult, job: str) -> FinopsError:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return FinopsError(data.user_failure_data.description)
            if data.error:
                cause = data.error.cause or data.error
                return FinopsError(
                    f"The job {job} broke off in {event.step_key}: "
                    f"{cause.message.strip().splitlines()[0]}",
                    f"The whole log is in the Dagster UI under run {result.run_id}.",
                )
    return FinopsError(
        f"The job {job} did not succeed.", f"See run {result.run_id} in the Dagster UI."
    )
