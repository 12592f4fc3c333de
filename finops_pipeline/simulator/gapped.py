"""A ready-made company whose costs and usage agree, but for the gaps that are planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from finops_pipeline.simulator.model import (
    EndpointCause,
    EndpointGap,
    Gap,
    Registration,
    SimulatedOrganization,
    SimulatedProject,
    SuggestedProject,
    SuggestedTeam,
    UseCause,
)
from finops_pipeline.simulator.presets import admin_key, project_id

_ORDINARY_USES = (
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-5-2025-08-07",
    "gpt-5-mini-2025-08-07",
    "text-embedding-3-small",
    "whisper-1",
)

# cause: (what is used, the multiple of the usual price); models that are not used otherwise keep
# a project's own lines apart from those that are planted, and what nothing explains is enough of a
# project's day to be seen
_PLANTED_USES: dict[UseCause, tuple[tuple[str, str | None], ...]] = {
    "other_rate": (
        ("batch | gpt-4o-2024-08-06", None),
        ("flex | o4-mini-2025-04-16", None),
        ("priority | gpt-4o-2024-08-06", None),
        ("gpt-5.4-2026-03-05, long context", None),
    ),
    "tool_fee": (
        ("web search tool calls", None),
        ("Vector storage", None),
        ("assistants api | file search", None),
        ("code interpreter sessions", None),
    ),
    "unknown_model": (("gpt-6-preview-2026-10-01", None),),
    "complimentary_tokens": (("gpt-5-mini-2025-08-07", None),),
    "negotiated_rate": (("gpt-4.1-2025-04-14", "0.8"),),
    "across_midnight": (("o3-2025-04-16", None),),
    "double_charge": (("gpt-5-2025-08-07", None),),
    "unlisted_rate": (("gpt-5-nano-2025-08-07", "9.37"),),
    "billed_without_usage": (("o4-mini-2025-04-16", None),),
    "used_without_bill": (("gpt-4.1-2025-04-14", None),),
}


def gapped(
    causes: Sequence[UseCause | EndpointCause], *, projects: int, days: int, end: date
) -> tuple[date, datetime, tuple[SimulatedOrganization, ...], Registration]:
    """The parts of :meth:`Scenario.gapped`."""
    start = end - timedelta(days=days)
    names = [f"shop-{number:03}" for number in range(1, projects + 1)]
    gaps: list[Gap] = []
    endpoint_gaps: list[EndpointGap] = []
    for number, cause in enumerate(causes):
        first = start + timedelta(days=days // 3 + number % 5)
        if cause == "silent_endpoint":
            last = first + timedelta(days=3)
            endpoint_gaps.append(
                EndpointGap(cause=cause, endpoint="embeddings", start=first, end=last)
            )
        elif cause == "refused_endpoint":
            endpoint_gaps.append(EndpointGap(cause=cause, endpoint="audio_transcriptions"))
        else:
            gaps += _gaps(cause, project_id(names[number % projects]), first, days // 6)
    organization = SimulatedOrganization(
        id="org-gapworks",
        name="Gap Works",
        admin_keys=[admin_key("shops")],
        projects=tuple(
            SimulatedProject(
                id=project_id(name),
                name=f"Project {name}",
                uses=_ORDINARY_USES,
                volume_percent=60 + 20 * (number % 7),
            )
            for number, name in enumerate(names)
        ),
        gaps=tuple(gaps),
        endpoint_gaps=tuple(endpoint_gaps),
    )
    registration = Registration(
        teams=(
            SuggestedTeam(
                team_id="shops",
                name="Shops",
                cost_center="CC-5000",
                owner_email="shops-lead@acme.example",
                admin_key=admin_key("shops"),
            ),
        ),
        projects=tuple(
            SuggestedProject(
                project_id=name,
                name=f"Project {name}",
                team_id="shops",
                openai_project_id=project_id(name),
            )
            for name in names
        ),
    )
    now = datetime.combine(end, time(), tzinfo=UTC)
    return start, now, (organization,), registration


def _gaps(cause: UseCause, project: str, first: date, days: int) -> Iterator[Gap]:
    """One period of ``days``; what is moved across midnight on single days that lie apart."""
    periods = [(first, first + timedelta(days=max(1, days)))]
    if cause == "across_midnight":
        singles = (first + timedelta(days=4 * number) for number in range(3))
        periods = [(day, day + timedelta(days=1)) for day in singles]
    for offer, rate in _PLANTED_USES[cause]:
        for start, end in periods:
            yield Gap(
                cause=cause,
                project_id=project,
                offer=offer,
                start=start,
                end=end,
                rate=None if rate is None else Decimal(rate),
            )
