"""What a key opens: seen by asking, before anything relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finops_pipeline.openai_admin.client import AdminClient
from finops_pipeline.openai_admin.costs import MAX_BUCKETS, CostsBucket
from finops_pipeline.openai_admin.errors import OpenAIError

RECENT_DAYS = 31
"""Closed days that show whether the key sees any spend; one page of the Costs API."""

_FEW_ROWS = 100
"""Rows of one project's day: a guess that lets half a year of it be one call."""

_MOST_ASKED_AT_ONCE = 100
"""Projects in one request: longer addresses than 8,000 characters are refused by many servers."""


@dataclass(frozen=True)
class Access:
    """What a key was seen to open.

    Attributes:
        organization_id: OpenAI's id of the organization; None where no answer named it.
        saw_costs: Whether anything but zero was billed in the last 31 closed days. A key of
            another organization is answered too, with empty days or with zeros.
        may_list_projects: Whether the projects could be listed (scope api.management.read).
        projects: OpenAI's project id → name, archived ones included; empty where it may not list.
        server_time: The API's clock (UTC); None where it sent no Date.
        warnings: What is missing without being an error, in sentences without a full stop.
    """

    organization_id: str | None
    saw_costs: bool
    may_list_projects: bool
    projects: dict[str, str | None]
    server_time: datetime | None
    warnings: tuple[str, ...]


def examine(client: AdminClient) -> Access:
    """List the projects, then read the costs of the last 31 days that are closed.

    Raises:
        OpenAIError: the costs cannot be read: ``bad_key``, ``missing_scope`` (api.usage.read), …
    """
    warnings = []
    projects: dict[str, str | None] = {}
    may_list = True
    try:
        # Asked first also because any answer, even a refusal, tells the API's clock.
        projects = {project.id: project.name for project in client.projects()}
    except OpenAIError as error:
        if error.reason in ("bad_key", "wrong_organization"):
            raise
        may_list = False
        warnings.append(
            "the key lacks the scope api.management.read, so OpenAI's names of projects stay "
            "unknown"
            if error.reason == "missing_scope"
            else f"the projects cannot be listed now: {error.message.rstrip('.')}"
        )
    organization_id = None
    saw_costs = False
    for bucket in _recent_costs(client, RECENT_DAYS, rows_per_bucket=None):
        organization_id = organization_id or bucket.organization_id
        saw_costs = saw_costs or _has_spend(bucket)
    if not saw_costs:
        warnings.append(f"OpenAI shows no spend to this key in the last {RECENT_DAYS} days")
    return Access(
        organization_id=organization_id,
        saw_costs=saw_costs,
        may_list_projects=may_list,
        projects=projects,
        server_time=client.server_time,
        warnings=tuple(warnings),
    )


def sees_project(
    client: AdminClient, openai_project_id: str, *, access: Access | None = None
) -> bool | None:
    """Whether the key sees a project, in the list or in the costs of the last 180 days.

    Args:
        access: What :func:`examine` found with this key, to spare asking again.

    Returns:
        None where it cannot be told: the key may not list projects and saw no spend of this one.

    Raises:
        OpenAIError: the costs cannot be read.
    """
    return sees_any_project(client, [openai_project_id], access=access or examine(client))


def sees_any_project(
    client: AdminClient, openai_project_ids: Collection[str], *, access: Access
) -> bool | None:
    """Whether the key sees at least one of the projects; see :func:`sees_project`.

    Of more than a hundred that are not in the list, only the first hundred are looked for.
    """
    if not access.projects.keys().isdisjoint(openai_project_ids):
        return True
    asked = sorted(openai_project_ids)[:_MOST_ASKED_AT_ONCE]
    spent = any(
        # Looked for by name, because a server may not know the filter.
        not set(asked).isdisjoint(bucket.rows.column("project_id").to_pylist())
        for bucket in _recent_costs(
            client, MAX_BUCKETS, rows_per_bucket=_FEW_ROWS, project_ids=tuple(asked)
        )
    )
    if spent:
        return True
    return False if access.may_list_projects else None


def _has_spend(bucket: CostsBucket) -> bool:
    return any(amount for amount in bucket.rows.column("amount").to_pylist())


def _recent_costs(
    client: AdminClient,
    days: int,
    *,
    rows_per_bucket: int | None,
    project_ids: tuple[str, ...] = (),
) -> Iterator[CostsBucket]:
    # By the API's clock: ours may be wrong, and a window that ends in its future is refused.
    today = client.first_open_day or datetime.now(UTC).date()
    start = today - timedelta(days=days)
    pages = client.costs(start, today, rows_per_bucket=rows_per_bucket, project_ids=project_ids)
    for page in pages:
        yield from page.buckets
