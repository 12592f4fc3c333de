"""The client of OpenAI's organization API: one team, one collection, one key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Self

from finops_pipeline.openai_admin.costs import CostsPage, read_costs
from finops_pipeline.openai_admin.projects import Project, read_projects
from finops_pipeline.openai_admin.transport import RetryPolicy, Transport
from finops_pipeline.openai_admin.usage import UsageEndpoint, UsagePage, read_usage

_DEFAULT_RETRY = RetryPolicy()


class AdminClient:
    """Reads costs, usage and projects of one organization.

    A context manager; not for several threads.

    Args:
        team_id: Names the team in errors.
        base_url: The API, ``https://…/v1``; redirects to elsewhere are refused.
        api_key: Gives the team's active admin key. Called at the first request, and once more
            when OpenAI refuses the key, because it may have been rotated in between.
        retry: How patient each call is.
    """

    def __init__(
        self,
        *,
        team_id: str,
        base_url: str,
        api_key: Callable[[], str],
        retry: RetryPolicy = _DEFAULT_RETRY,
    ) -> None:
        self._transport = Transport(
            team_id=team_id, base_url=base_url, api_key=api_key, retry=retry
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and forget the key."""
        self._transport.close()

    @property
    def server_time(self) -> datetime | None:
        """The Date header of the newest answer that had one (UTC); None before."""
        return self._transport.server_time

    @property
    def first_open_day(self) -> date | None:
        """The API's own today (UTC): days from here on are not over and are never yielded."""
        return self._transport.first_open_day

    @property
    def calls(self) -> int:
        """HTTP requests sent so far, retries included."""
        return self._transport.calls

    def costs(
        self,
        start: date,
        end: date,
        *,
        rows_per_bucket: int | None,
        project_ids: Sequence[str] = (),
    ) -> Iterator[CostsPage]:
        """Yield every closed UTC day from ``start`` to ``end`` (exclusive) exactly once.

        Pages arrive as they are read, so what was yielded stands when a later page fails. Days
        that are not over by the API's own clock are left out: compare with ``first_open_day``.

        Args:
            start: First UTC day.
            end: The UTC day after the last.
            rows_per_bucket: Rows that a day of this team seldom exceeds; None: unknown.
            project_ids: Only the costs of these OpenAI projects; none: all there is.

        Raises:
            OpenAIError: a page could not be read, or not be trusted; nothing of it is yielded.
        """
        return read_costs(
            self._transport,
            start,
            end,
            rows_per_bucket=rows_per_bucket,
            project_ids=tuple(project_ids),
        )

    def usage(
        self,
        endpoint: UsageEndpoint,
        start: date,
        end: date,
        *,
        rows_per_bucket: int | None = None,
    ) -> Iterator[UsagePage]:
        """Yield one endpoint's usage of every closed UTC day exactly once, as :meth:`costs` does.

        Rows are grouped as finely as the endpoint allows (:data:`ENDPOINTS`); user ids are
        OpenAI's own.

        Args:
            endpoint: The usage endpoint's name.
            start: First UTC day.
            end: The UTC day after the last.
            rows_per_bucket: Rows that a day of this team seldom exceeds; None: unknown.

        Raises:
            OpenAIError: as :meth:`costs`; ``unsupported`` where the organization does without
                this endpoint (its first answer was 400 or 404).
        """
        return read_usage(self._transport, endpoint, start, end, rows_per_bucket=rows_per_bucket)

    def projects(self) -> list[Project]:
        """Every project, archived ones included. Needs the scope api.management.read.

        Raises:
            OpenAIError: a page could not be read; ``missing_scope`` where the key may not list.
        """
        return read_projects(self._transport)
