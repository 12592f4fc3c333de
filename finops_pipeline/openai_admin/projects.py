"""The names of OpenAI's projects: optional enrichment that needs a scope of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from finops_pipeline.openai_admin.errors import BrokenBodyError, BrokenPageError, quoted
from finops_pipeline.openai_admin.transport import Params, Transport

PATH = "/organization/projects"
PAGE_SIZE = 100
"""Most projects that OpenAI takes as ``limit``."""


@dataclass(frozen=True)
class Project:
    """A project of an OpenAI organization; times are UTC; the id is opaque."""

    id: str
    name: str | None
    status: str | None
    created_at: datetime | None
    archived_at: datetime | None


class _WireProject(msgspec.Struct):
    id: str
    name: str | None = None
    status: str | None = None
    created_at: int | None = None
    archived_at: int | None = None


class _Page(msgspec.Struct):
    data: list[_WireProject]
    has_more: bool = False


_decoder = msgspec.json.Decoder(_Page)


def read_projects(transport: Transport) -> list[Project]:
    """Every project of the key's organization, archived ones included.

    Raises:
        OpenAIError: also ``missing_scope`` (api.management.read), which need not stop costs.
    """
    # Names are optional: an outage of theirs must not hold up the costs.
    patience = replace(transport.retry, attempts=min(2, transport.retry.attempts))
    projects: list[Project] = []
    followed: set[str] = set()
    after: str | None = None
    number = 0
    while True:
        number += 1
        params: Params = [("limit", PAGE_SIZE), ("include_archived", "true")]
        page, more = transport.get(
            PATH,
            params if after is None else [*params, ("after", after)],
            subject=f"page {number} of the projects",
            decode=lambda body, _: _decode(body, followed),
            retry=patience,
        )
        projects += page
        if not more:
            return projects
        after = page[-1].id
        followed.add(after)


def _decode(body: bytes, followed: set[str]) -> tuple[list[Project], bool]:
    try:
        page = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BrokenPageError(f"is not a page of projects ({quoted(str(error))})") from None
    except (ValueError, RecursionError):
        raise BrokenBodyError("is not complete JSON") from None
    if page.has_more and not page.data:
        raise BrokenPageError("says has_more but names no project to go on after")
    if page.has_more and page.data[-1].id in followed:
        raise BrokenPageError("repeats an earlier page's last project")
    projects = [
        Project(
            id=project.id,
            name=project.name,
            status=project.status,
            created_at=_time(project.created_at),
            archived_at=_time(project.archived_at),
        )
        for project in page.data
    ]
    return projects, page.has_more


def _time(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BrokenPageError(f"has a project with the impossible time {seconds}") from None
