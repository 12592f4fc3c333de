"""What may be in the reviewed file of teams and projects.

Keys are never in it. A registered thing keeps what the file does not say of it; null clears a
value. Owners and dated changes are whole histories, in order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)

from finops_pipeline.errors import UsageError
from finops_pipeline.registry import rules


def _checked(check: Any, what: str) -> AfterValidator:
    def validate(text: str) -> Any:
        try:
            return check(text, what)
        except UsageError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("is no day; write it as YYYY-MM-DD, without quotes")


def _tags(tags: dict[str, str]) -> dict[str, str]:
    try:
        return rules.merged_tags({}, tags)
    except UsageError as error:
        raise ValueError(str(error)) from None


Day = Annotated[date, BeforeValidator(_day)]
TeamId = Annotated[StrictStr, _checked(rules.check_slug, "team")]
ProjectId = Annotated[StrictStr, _checked(rules.check_slug, "project")]
OpenAIProjectId = Annotated[
    StrictStr, _checked(lambda text, _: rules.check_openai_project(text), "")
]
Tags = Annotated[dict[StrictStr, StrictStr], AfterValidator(_tags)]


TeamName = Annotated[StrictStr, _checked(rules.attribute, "team's name")]
ProjectName = Annotated[StrictStr, _checked(rules.attribute, "project's name")]
Environment = Annotated[StrictStr, _checked(rules.attribute, "environment")]
CostCenter = Annotated[StrictStr, _checked(rules.attribute, "cost centre")]
OwnerEmail = Annotated[StrictStr, _checked(rules.email, "owner's address")]
BudgetOwnerEmail = Annotated[StrictStr, _checked(rules.email, "budget owner's address")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """The attributes that the file names, also those that it clears."""
        names = self.model_fields_set & rules.ATTRIBUTES
        return {name: getattr(self, name) for name in type(self).model_fields if name in names}


class _TeamAttributes(_Entry):
    team_name: TeamName | None = None
    parent_team_id: TeamId | None = None
    owner_email: OwnerEmail | None = None
    budget_owner_email: BudgetOwnerEmail | None = None
    cost_center: CostCenter | None = None


class _ProjectAttributes(_Entry):
    project_name: ProjectName | None = None
    environment: Environment | None = None
    owner_email: OwnerEmail | None = None
    cost_center: CostCenter | None = None
    tags: Tags = Field(default_factory=dict)


class TeamChange(_TeamAttributes):
    """Other attributes of a team from a day on."""

    effective: Day


class ProjectChange(_ProjectAttributes):
    """Other attributes of a project from a day on."""

    effective: Day


class TeamEntry(_TeamAttributes):
    """A team: its attributes, then what changes when."""

    team_id: TeamId
    is_active: StrictBool | None = None
    changes: tuple[TeamChange, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order("changes", [change.effective for change in self.changes])
        return self


class Owner(_Entry):
    """The team that owns a project from a day on; without one, since ever."""

    team_id: TeamId
    valid_from: Day | None = None


class ProjectEntry(_ProjectAttributes):
    """A project: its attributes, then what changes when, and its owners."""

    project_id: ProjectId
    openai_project_id: OpenAIProjectId
    owners: tuple[Owner, ...] = ()
    changes: tuple[ProjectChange, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order("changes", [change.effective for change in self.changes])
        later = [owner.valid_from for owner in self.owners[1:]]
        if None in later:
            raise ValueError("every owner after the first needs a valid_from")
        _check_order("owners", [owner.valid_from for owner in self.owners if owner.valid_from])
        for one, other in pairwise(self.owners):
            if one.team_id == other.team_id:
                raise ValueError(
                    f"owners: team {one.team_id!r} follows itself on {other.valid_from}; leave "
                    "that entry out"
                )
        return self


class Document(BaseModel):
    """A whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teams: tuple[TeamEntry, ...] = ()
    projects: tuple[ProjectEntry, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _check_unique("team_id", [team.team_id for team in self.teams])
        _check_unique("project_id", [project.project_id for project in self.projects])
        _check_unique("openai_project_id", [item.openai_project_id for item in self.projects])
        return self


def _check_order(what: str, days: Iterable[date]) -> None:
    for one, other in pairwise(days):
        if other <= one:
            raise ValueError(f"{what}: {other} comes after {one}; list each day once, in order")


def _check_unique(name: str, ids: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for one in ids:
        if one in seen:
            raise ValueError(f"the {name} {one!r} is in it twice; each may be there once")
        seen.add(one)
