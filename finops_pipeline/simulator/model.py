"""What a simulated organization consists of: keys, projects, charges, and how it registers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from finops_pipeline.simulator.catalogue import OFFERS

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
        archived_on: First UTC day without consumption, and from which it counts as archived.
    """

    id: str = Field(min_length=1)
    name: str | None = None
    uses: tuple[Offer, ...] = Field(min_length=1)
    volume_percent: int = Field(default=100, ge=0)
    api_keys: int = Field(default=1, ge=1)
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


class SimulatedOrganization(Part):
    """One OpenAI organization.

    Attributes:
        admin_keys: Keys with every scope; any of them opens the whole organization.
        organization_uses: Consumption that belongs to no project.
        rows_per_day: Exact number of billed rows a day, spread evenly over the projects, instead
            of what the projects use; for benchmarks.
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

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        projects = [project.id for project in self.projects]
        if len(set(projects)) < len(projects):
            raise ValueError(f"organization {self.id} lists a project twice")
        named = {spike.project_id for spike in self.spikes}
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
