"""Planted faults: which call they hit, and what becomes of its answer."""

from __future__ import annotations

import random
from typing import Literal, Self

from pydantic import Field, model_validator

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.model import Part

FaultKind = Literal[
    "status",
    "drop",
    "drop_mid_body",
    "truncated",
    "garbage",
    "slow",
    "repeated_token",
    "missing_token",
    "missing_data",
]


class Fault(Part):
    """Something that goes wrong, and for which calls.

    Attributes:
        kind: ``status`` answers with ``status``; ``drop`` closes the connection without an
            answer, ``drop_mid_body`` in the middle of one; ``truncated`` ends a JSON body early
            under a fitting Content-Length; ``garbage`` sends no JSON; ``slow`` answers rightly
            after ``seconds``; ``repeated_token`` answers a page whose next_page leads to itself;
            ``missing_token`` has_more without next_page; ``missing_data`` a page without data.
            The last three touch successful pages only.
        key, organization_id, endpoint: Only calls with this key, to this organization, to this
            endpoint; all calls where None.
        nth: The first call that is hit, counting from 1 the matching calls since planting.
        times: How many calls are hit; None: every one until faults are cleared.
        probability: The share of calls hit, drawn from ``seed``.
        message, code, retry_after: Of a ``status`` answer; Retry-After in whole seconds.
        bare_error: Whether a ``status`` answer's envelope is ``{"error": "text"}``.
        location: Of a redirecting ``status``.
    """

    kind: FaultKind
    key: str | None = None
    organization_id: str | None = None
    endpoint: Literal["costs", "projects", "legacy_usage"] | UsageEndpoint | None = None
    nth: int = Field(default=1, ge=1)
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 1
    status: int = Field(default=500, ge=300, le=599)
    message: str = "The server had an error while processing your request."
    code: str | None = None
    retry_after: int | None = Field(default=None, ge=0)
    bare_error: bool = False
    location: str | None = None
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _slow_has_a_length(self) -> Self:
        if self.kind == "slow" and not self.seconds:
            raise ValueError("slow needs seconds")
        return self


class _Planted:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.calls = 0
        self.fired = 0
        self._draw = random.Random(fault.seed)  # noqa: S311

    def hits(self, key: str | None, organization_id: str | None, endpoint: str) -> bool:
        fault = self.fault
        if fault.key not in (None, key) or fault.endpoint not in (None, endpoint):
            return False
        if fault.organization_id not in (None, organization_id):
            return False
        self.calls += 1
        drawn = self._draw.random() < fault.probability
        return drawn and self.calls >= fault.nth and self.fired != fault.times


class Faults:
    """All planted faults; of those that hit a call, the one planted first fires."""

    def __init__(self) -> None:
        self._planted: list[_Planted] = []

    def plant(self, fault: Fault) -> None:
        self._planted.append(_Planted(fault))

    def clear(self) -> None:
        self._planted.clear()

    def next(self, key: str | None, organization_id: str | None, endpoint: str) -> Fault | None:
        """The fault that this call meets; counts the call for all of them."""
        hits = [each for each in self._planted if each.hits(key, organization_id, endpoint)]
        if not hits:
            return None
        hits[0].fired += 1
        return hits[0].fault
