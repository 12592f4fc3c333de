"""A YAML file of prices: negotiated rates, models that no list knows, complimentary tokens."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from finops_pipeline.errors import UsageError
from finops_pipeline.pricing.vocabulary import (
    UNITS,
    Modality,
    Price,
    PriceKey,
    PromptContext,
    ServiceTier,
    Source,
    price_per_unit,
)

_PER = re.compile(r"(?P<count>[1-9][\d_]*) (?P<unit>[a-z_]+)")
_PER_WORDS = {
    **{unit: (unit, 1) for unit in UNITS.values()},
    **{unit.removesuffix("s"): (unit, 1) for unit in UNITS.values()},
    "minute": ("seconds", 60),
    "minutes": ("seconds", 60),
    "hour": ("seconds", 3600),
    "hours": ("seconds", 3600),
}


def _iso_date(text: object) -> object:
    # pydantic alone would take digits for seconds since 1970
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueError("write the day as in 2026-11-15") from None


def _whole_number(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"[1-9][\d_]*", text):
        raise ValueError("write it as a whole number, as in 1_000_000")
    return text.replace("_", "")


def _plain_decimal(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("write it as a plain number of USD, as in 2.50")
    return text


_Day = Annotated[date, BeforeValidator(_iso_date)]
_Usd = Annotated[Decimal, BeforeValidator(_plain_decimal)]
_Tokens = Annotated[int, BeforeValidator(_whole_number), Field(lt=10**15)]


def _in_order(valid_from: date | None, valid_to: date | None) -> None:
    if valid_from and valid_to and valid_from >= valid_to:
        raise ValueError("valid_to is the first day after the period: later than valid_from")


class PriceEntry(BaseModel):
    """One entry of a price file: some prices of one model, at one tier, for a time.

    Attributes:
        per: What each price is for, as in ``1_000_000 tokens``, ``1 session`` or ``1 minute``.
        prices: USD by kind; the kinds are those of ``UNITS``.
        source, note: For whoever reads the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    tier: ServiceTier = "standard"
    context: PromptContext = "standard"
    long_context_from: int | None = Field(default=None, gt=0)
    modality: Modality | None = None
    per: str
    prices: dict[str, _Usd] = Field(min_length=1)
    valid_from: _Day | None = None
    valid_to: _Day | None = None
    source: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        unit, _ = self._unit()
        kinds = [kind for kind, its_unit in UNITS.items() if its_unit == unit]
        for kind in self.prices:
            if kind not in UNITS:
                raise ValueError(f"{kind!r} is not a kind; the kinds are {', '.join(UNITS)}")
            if kind not in kinds:
                raise ValueError(f"{kind} is priced by {UNITS[kind]}, not by {unit}")
        _in_order(self.valid_from, self.valid_to)
        if self.long_context_from is not None and self.context != "long":
            raise ValueError("long_context_from belongs to prices with 'context: long'")
        list(self.unit_prices(self.model))  # each can be expressed
        return self

    def _unit(self) -> tuple[str, int]:
        match = _PER.fullmatch(" ".join(self.per.split()))
        if match is None or match["unit"] not in _PER_WORDS:
            words = ", ".join(sorted(set(UNITS.values())))
            raise ValueError(f"per is a count and one of {words}, as in '1_000_000 tokens'")
        unit, factor = _PER_WORDS[match["unit"]]
        return unit, int(match["count"]) * factor

    def unit_prices(self, price_model: str, source: Source = "list") -> Iterator[Price]:
        """The entry's prices for one unit each, under the book's name of the model.

        Raises:
            ValueError: a price has more than 12 decimals for one unit.
        """
        _, per = self._unit()
        for kind, price in self.prices.items():
            yield Price(
                key=PriceKey(price_model, self.tier, self.context, self.modality, kind),
                long_context_from=self.long_context_from,
                unit_price=price_per_unit(price, per=per, kind=kind),
                valid_from=self.valid_from,
                valid_to=self.valid_to,
                source=source,
            )


class ComplimentaryEntry(BaseModel):
    """Tokens that OpenAI does not charge an organization for, every day for a time.

    Attributes:
        organization: OpenAI's id of the organization.
        models: The models that share the tokens.
        tokens_a_day: How many of theirs are free on each UTC day, input and output together.
        note: For whoever reads the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: str = Field(min_length=1)
    models: list[str] = Field(min_length=1)
    tokens_a_day: _Tokens
    valid_from: _Day | None = None
    valid_to: _Day | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _in_order(self.valid_from, self.valid_to)
        return self


class PriceFile(NamedTuple):
    """The entries of a price file, in their order."""

    prices: list[PriceEntry]
    complimentary: list[ComplimentaryEntry]


_Entry = TypeVar("_Entry", PriceEntry, ComplimentaryEntry)


class _TextLoader(yaml.BaseLoader):
    """Leaves every scalar text, so that no price is ever a float; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key, value in node.value:
            if keys.count(key.value) > 1:
                problem = f"{key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, value.start_mark)
        return super().construct_mapping(node, deep=deep)


def read_price_file(path: Path) -> PriceFile:
    """What a price file says.

    Raises:
        UsageError: it cannot be read or an entry is wrong; says which, and what would be right.
    """
    content = _yaml(path)
    if not isinstance(content, dict) or not content or content.keys() - set(PriceFile._fields):
        raise wrong_file(
            path, "it does not consist of a list named 'prices', one named 'complimentary', or both"
        )
    for name, entries in content.items():
        if not isinstance(entries, list):
            raise wrong_file(path, f"'{name}' is not a list")
    return PriceFile(
        _entries(path, "entry", content.get("prices", []), PriceEntry),
        _entries(path, "complimentary entry", content.get("complimentary", []), ComplimentaryEntry),
    )


def _yaml(path: Path) -> object:
    try:
        return _TextLoader(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise UsageError(
            f"The price file {path} cannot be read: {error.strerror}.",
            "Set FINOPS_PRICE_FILE to a file that can, or unset it.",
        ) from None
    except UnicodeDecodeError:
        raise wrong_file(path, "it is not text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise wrong_file(path, f"{line}{error.problem}") from None
    except yaml.YAMLError:
        raise wrong_file(path, "it is not YAML") from None


def _entries(path: Path, what: str, contents: list[object], form: type[_Entry]) -> list[_Entry]:
    return [
        _entry(path, f"{what} {number}", content, form)
        for number, content in enumerate(contents, start=1)
    ]


def _entry(path: Path, which: str, content: object, form: type[_Entry]) -> _Entry:
    if not isinstance(content, dict):
        raise wrong_file(path, f"{which} is not a mapping")
    given = {key: value for key, value in content.items() if value not in ("", "null", "~")}
    try:
        return form.model_validate(given)
    except ValidationError as error:
        subject = given.get("model", given.get("organization"))
        raise wrong_file(path, f"{which} ({subject}): {_first_problem(error, form)}") from None


def _first_problem(error: ValidationError, form: type[BaseModel]) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{field} is no field; the fields are {', '.join(form.model_fields)}"
    message = str(first.get("ctx", {}).get("error", first["msg"]))
    return f"{field}: {message}" if field else message


def wrong_file(path: Path, what: str) -> UsageError:
    """The error of a price file that cannot be used as it is."""
    return UsageError(
        f"The price file {path} is wrong: {what}.", "Correct it; docs/prices.md shows the form."
    )
