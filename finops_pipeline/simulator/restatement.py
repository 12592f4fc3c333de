"""What can be restated of a day after the fact."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.model import Amount, Part, exact_amount

Operation = Literal["scale", "add", "replace", "empty", "restore", "reorder", "rewrite_literals"]


class RestatedRow(Part):
    """A billed row written out by hand.

    Attributes:
        amount: As text, so that its digits reach the wire as they are (``0.10`` stays ``0.10``).
        currency: The organization's own by default.
        apart: Shown as a result of its own, even beside another one with the same key.
    """

    amount: Amount
    project_id: str | None = None
    api_key_id: str | None = None
    user_id: str | None = None
    line_item: str | None = None
    currency: str | None = None
    quantity: Annotated[Decimal, BeforeValidator(exact_amount)] | None = None
    quantity_unit: str | None = None
    apart: bool = False


class Restatement(Part):
    """One change of one day.

    Attributes:
        operation: ``scale`` multiplies amounts by ``factor`` (of ``project_id`` alone, if given);
            ``add`` adds ``rows``; ``replace`` puts ``rows`` in place of everything; ``empty``
            removes everything; ``restore`` undoes every change; ``reorder`` changes the order of
            rows, and ``rewrite_literals`` the writing of amounts (``0.1`` ↔ ``0.10``), neither of
            them any value.
    """

    operation: Operation
    factor: Amount = Decimal(1)
    project_id: str | None = None
    rows: tuple[RestatedRow, ...] = ()

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.operation in ("add", "replace") and not self.rows:
            raise ValueError(f"{self.operation} needs rows")
        return self


class UsageRestatement(Part):
    """A day of one usage endpoint, told again with other quantities.

    Attributes:
        factor: What the quantities of the scenario are multiplied by; 1 is as before, 0 is nothing.
    """

    endpoint: UsageEndpoint
    factor: Annotated[Amount, Field(ge=0)]
