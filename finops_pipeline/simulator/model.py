"""What a simulated organization consists of: keys, projects, charges, and how it registers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from finops_pipeline.simulator.catalogue import OFFERS, UsageEndpoint

Scope = Literal["api.usage.read", "api.management.read"]


def exact_amount(value: object) -> object:
    """Refuse binary floating point for money: a file must quote its amounts."""
    if isinstance(value, float):
        # A ValueError is what pydantic turns into a message about the field.
        raise ValueError("write the amount as quoted text, so that it stays exact")  # noqa: TRY004
    return value


def _known_offer(name: str) -> str:
    if name not in OFFERS:
        near = [offer for offer in OFFERS if name in offer] or get_close_matches(name, OFFERS)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name!r} is nothing that can be used{hint}")
    return name


Amount = Annotated[Decimal, BeforeValidator(exact_amount), Field(allow_inf_nan=False)]
Offer = Annotated[str, AfterValidator(_known_offer)]


class Part(BaseModel):
    """A part of a scenario: unknown fields are mistakes, not extensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SimulatedProject(Part):
    """An OpenAI project and what it uses every day.

    Attributes:
        uses: Names from :data:`finops_pipeline.simulator.catalogue.OFFERS`.
        volume_percent: Size against an ordinary project.
        api_keys: How many api keys share the consumption, each with its own user.
        keys: Ordinary keys of the project; each reads what it used from the legacy endpoint.
        archived_on: First UTC day without consumption, and from which it counts as archived.
    """

    id: str = Field(min_length=1)
    name: str | None = None
    uses: tuple[Offer, ...] = Field(min_length=1)
    volume_percent: int = Field(default=100, ge=0)
    api_keys: int = Field(default=1, ge=1)
    keys: tuple[str, ...] = ()
    created_on: date = date(2024, 1, 1)
    archived_on: date | None = None


class RestrictedKey(Part):
    """An admin key with only some scopes, and the status that a refused call gets."""

    key: str = Field(min_length=8)
    scopes: tuple[Scope, ...] = ()
    refusal_status: Literal[401, 403] = 403


class Charge(Part):
    """One amount on one day that no quantity stands behind: a fee, or a credit if negative."""

    day: date
    amount: Amount
    project_id: str | None = None
    line_item: str | None = None


class Spike(Part):
    """One day on which a project uses ``factor`` times as much."""

    project_id: str
    day: date
    factor: int = Field(ge=0)


UseCause = Literal[
    "other_rate",
    "tool_fee",
    "unknown_model",
    "complimentary_tokens",
    "negotiated_rate",
    "across_midnight",
    "double_charge",
    "unlisted_rate",
    "billed_without_usage",
    "used_without_bill",
]
"""What can be different about one thing that a project uses; see :class:`Gap`."""

EndpointCause = Literal["silent_endpoint", "refused_endpoint"]
"""What can be wrong with a whole usage endpoint; see :class:`EndpointGap`."""

Cause = Literal[UseCause, EndpointCause, "charge"]
"""Why costs and usage at list price differ; a ``charge`` is an amount without a quantity."""

PLANTABLE: tuple[UseCause | EndpointCause, ...] = (*get_args(UseCause), *get_args(EndpointCause))
"""Every cause that a scenario can plant."""

_RATES = ("negotiated_rate", "unlisted_rate")


class Gap(Part):
    """Something that a project uses and that the bill and usage tell differently.

    A project that does not use the offer otherwise uses it on the gap's days alone.

    Attributes:
        cause: What is different. ``other_rate``, ``tool_fee`` and ``unknown_model`` are so by the
            offer's nature (a surface or long context, a service, a model on no list);
            ``complimentary_tokens`` are used and cost nothing; ``negotiated_rate`` and
            ``unlisted_rate`` are billed at ``rate`` times the usual price; ``across_midnight`` is
            billed on its day and used on the next; a ``double_charge`` shows each billed row
            twice; ``billed_without_usage`` and ``used_without_bill`` are in one place alone.
        project_id: The project; offer: what it uses; start, end: the UTC days, ``end`` exclusive.
        share: How much of the quantity is concerned, above 0 to 1.
        rate: Of a rate: the multiple of the usual price.
        shown: Whether complimentary tokens are on the bill, at nothing, or not at all.
    """

    cause: UseCause
    project_id: str
    offer: Offer
    start: date = date.min
    end: date = date.max
    share: Annotated[Amount, Field(gt=0, le=1)] = Decimal(1)
    rate: Annotated[Amount, Field(gt=0)] | None = None
    shown: bool = True

    @model_validator(mode="after")
    def _can_be_planted(self) -> Self:
        natures = {item.nature for item in OFFERS[self.offer]}
        if self.cause in ("other_rate", "tool_fee", "unknown_model") and self.cause not in natures:
            raise ValueError(f"{self.offer!r} has no {self.cause} by its nature")
        if (self.rate is not None) != (self.cause in _RATES):
            raise ValueError("a rate belongs to negotiated_rate and unlisted_rate, and to no other")
        return self


class EndpointGap(Part):
    """A usage endpoint that does not tell what an organization used.

    Attributes:
        cause: ``silent_endpoint`` answers without rows, ``refused_endpoint`` with ``status``.
        start, end: The UTC days, ``end`` exclusive; any query that touches them is refused.
    """

    cause: EndpointCause
    endpoint: UsageEndpoint
    start: date = date.min
    end: date = date.max
    status: Literal[400, 404] = 404


class SimulatedOrganization(Part):
    """One OpenAI organization.

    Attributes:
        admin_keys: Keys with every scope; any of them opens the whole organization.
        organization_uses: Consumption that belongs to no project.
        rows_per_day: Exact number of billed rows a day, spread evenly over the projects, instead
            of what the projects use; for benchmarks.
        gaps, endpoint_gaps: Where costs and usage differ; the first that fits a use counts.
    """

    id: str = Field(min_length=1)
    name: str
    admin_keys: list[str] = Field(min_length=1)
    restricted_keys: tuple[RestrictedKey, ...] = ()
    projects: tuple[SimulatedProject, ...] = ()
    organization_uses: tuple[Offer, ...] = ()
    charges: tuple[Charge, ...] = ()
    spikes: tuple[Spike, ...] = ()
    currency: str = Field(default="usd", pattern="^[a-z]{3}$")
    rows_per_day: int | None = Field(default=None, ge=1)
    gaps: tuple[Gap, ...] = ()
    endpoint_gaps: tuple[EndpointGap, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        projects = [project.id for project in self.projects]
        if len(set(projects)) < len(projects):
            raise ValueError(f"organization {self.id} lists a project twice")
        named = {spike.project_id for spike in self.spikes}
        named |= {gap.project_id for gap in self.gaps}
        named |= {charge.project_id for charge in self.charges if charge.project_id}
        if self.rows_per_day is not None and not projects:
            raise ValueError(f"organization {self.id} needs a project for its rows_per_day")
        if unknown := sorted(named - set(projects)):
            raise ValueError(f"organization {self.id} has no project {unknown[0]}")
        return self


class SuggestedTeam(Part):
    """How a team of the simulated company registers, with the admin key it was given."""

    team_id: str
    name: str
    cost_center: str
    owner_email: str
    admin_key: str


class SuggestedProject(Part):
    """How a project registers: our id, the team that owns it, and OpenAI's id."""

    project_id: str
    name: str
    team_id: str
    openai_project_id: str
    environment: str = "production"


class Registration(Part):
    """What the company would register of itself. Projects left out stay unregistered."""

    teams: tuple[SuggestedTeam, ...] = ()
    projects: tuple[SuggestedProject, ...] = ()
