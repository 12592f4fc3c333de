"""The scenario: everything that decides what a simulator answers, from code or from a file."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import AwareDatetime, Field, ValidationError, model_validator

from finops_pipeline.errors import UsageError
from finops_pipeline.simulator import gapped, presets
from finops_pipeline.simulator.model import (
    EndpointCause,
    Part,
    Registration,
    SimulatedOrganization,
    UseCause,
)


class Wire(Part):
    """How answers look on the wire; each variant has been seen on the real API.

    Attributes:
        amounts: ``amount.value`` as JSON number, as string, or some rows either way. The value
            is the same whichever is chosen.
        organization_id_on_wire: Whether rows of costs carry the undocumented organization_id and
            organization_name.
        organization_id_on_usage: The same of usage, whose recorded rows have none.
        undocumented_fields: Whether rows carry project_name, user_email, api_source and an
            unasked user_id, and buckets start_time_iso and end_time_iso.
        clamp_limit_to_31: Whether a larger ``limit`` is silently treated as 31.
        end_of_pages: Whether next_page of the last page is null or an empty string.
        old_usage_rows: Whether usage of completions has but the fields of early 2025.
    """

    amounts: Literal["number", "string", "mixed"] = "number"
    organization_id_on_wire: bool = True
    organization_id_on_usage: bool = False
    undocumented_fields: bool = True
    clamp_limit_to_31: bool = False
    end_of_pages: Literal["null", "empty"] = "null"
    old_usage_rows: bool = False


class LegacyLimit(Part):
    """How often each key may ask the legacy endpoint: ``calls`` in any ``seconds``."""

    calls: int = Field(default=5, ge=1)
    seconds: float = Field(default=60.0, gt=0)


class Scenario(Part):
    """A simulated company: its organizations, since when, and how the API answers.

    Attributes:
        seed: The same scenario with the same seed answers with the same bytes.
        start: First UTC day with consumption.
        now: Where the clock stands; None runs with real time.
        legacy_limit: In real time, wherever the clock stands.
        registration: How the company would register itself with the pipeline.
    """

    seed: int = 1
    start: date
    now: AwareDatetime | None = None
    wire: Wire = Wire()
    legacy_limit: LegacyLimit = LegacyLimit()
    organizations: tuple[SimulatedOrganization, ...] = Field(min_length=1)
    registration: Registration = Registration()

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        ids = [organization.id for organization in self.organizations]
        if len(set(ids)) < len(ids):
            raise ValueError("two organizations have the same id")
        keys = [key for organization in self.organizations for key in organization.admin_keys]
        keys += [
            restricted.key
            for organization in self.organizations
            for restricted in organization.restricted_keys
        ]
        if len(set(keys)) < len(keys):
            raise ValueError("one admin key is listed twice; a key opens one organization")
        keys += [
            key
            for organization in self.organizations
            for project in organization.projects
            for key in project.keys
        ]
        if len(set(keys)) < len(keys):
            raise ValueError("one key is listed twice; a project key opens one project")
        teams = {team.team_id for team in self.registration.teams}
        for project in self.registration.projects:
            if project.team_id not in teams:
                raise ValueError(
                    f"project {project.project_id} registers for an unknown team {project.team_id}"
                )
        return self

    @classmethod
    def demo(
        cls,
        *,
        seed: int = 1,
        start: date | None = None,
        now: datetime | None = None,
        days: int = 120,
        wire: Wire | None = None,
    ) -> Self:
        """A company of three teams in two organizations, one of them shared by two teams.

        It has nine OpenAI projects, one of them unregistered and one archived, spend on the level
        of the organization, monthly fees, a spike and a credit.

        Args:
            seed: Decides every quantity.
            start: First UTC day; by default ``days`` days before today.
            now: Where the clock stands (with a time zone); by default real time.
            days: Length of the history when ``start`` is not given.
            wire: How answers look.
        """
        first, organizations, registration = presets.demo(start=start, now=now, days=days)
        return cls(
            seed=seed,
            start=first,
            now=now,
            wire=wire or Wire(),
            organizations=organizations,
            registration=registration,
        )

    @classmethod
    def bulk(
        cls,
        *,
        organizations: int = 1,
        projects: int = 5,
        days: int = 365,
        rows_per_day: int = 100,
        seed: int = 1,
        end: date = date(2026, 11, 1),
    ) -> Self:
        """Organizations of exactly ``rows_per_day`` billed rows on each of ``days`` days.

        One team and key per organization (``team-001`` …), ``projects`` projects in each. The
        clock stands at midnight (UTC) after the last day, ``end`` being exclusive, so no bucket
        is partial and every answer can be rendered beforehand.
        """
        start, now, simulated, registration = presets.bulk(
            organizations, projects=projects, days=days, rows_per_day=rows_per_day, end=end
        )
        return cls(
            seed=seed, start=start, now=now, organizations=simulated, registration=registration
        )

    @classmethod
    def gapped(
        cls,
        *causes: UseCause | EndpointCause,
        days: int = 90,
        projects: int = 20,
        seed: int = 1,
        end: date = date(2026, 11, 1),
    ) -> Self:
        """One organization whose costs are usage at list price, but for the causes given.

        Each cause has a project (in turn), some days in the middle of the history and, where two
        would blur each other, a model of its own; ``control.gaps()`` tells the amounts. The clock
        stands at midnight (UTC) after the last day, ``end`` being exclusive.
        """
        start, now, simulated, registration = gapped.gapped(
            causes, projects=projects, days=days, end=end
        )
        return cls(
            seed=seed, start=start, now=now, organizations=simulated, registration=registration
        )


def load_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML or JSON file.

    Raises:
        UsageError: the file cannot be read, is neither YAML nor JSON, or does not describe a
            scenario; the message names the field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"The scenario file {path} cannot be read.", "Check the path and its permissions."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UsageError(
            f"The scenario file {path} is neither YAML nor JSON{where}.", "Correct its syntax."
        ) from None
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the scenario"
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"The scenario file {path} is not usable: {field}: {what}.",
            "Correct that field; every field is described on finops_pipeline.simulator.Scenario.",
        ) from None
