"""From a model's name, as usage and bills write it, to the model under which it is priced."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from finops_pipeline.pricing.vocabulary import canonical_name, fine_tuned_base, undated

MatchedBy = Literal["exact", "snapshot", "fine_tuned", "override"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """What a name in use stands for.

    Attributes:
        model: The name as used.
        price_model: The price book's model; null where the name is unpriced.
        base_model: The name, for a fine-tuned model that of the model it was made of.
        matched_by: Which rule found it.
    """

    model: str
    price_model: str | None
    base_model: str
    is_fine_tuned: bool
    matched_by: MatchedBy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameBook:
    """The names under which prices exist.

    Attributes:
        listed: Models of the list and its supplement that have a price.
        listed_model: The list's own matching, from any name it knows to its model.
        own: Names that an override file prices apart from any model of the list.
    """

    listed: Collection[str]
    listed_model: Callable[[str], str | None]
    own: Collection[str] = ()

    def find(self, model: str) -> ModelName:
        """The model under which ``model`` is priced.

        A fine-tuned model is never priced as the model it was made of.
        """
        name = canonical_name(model)
        base = fine_tuned_base(name)
        price_model, matched_by = self._fine_tuned(name, base) if base else self._ordinary(name)
        return ModelName(
            model=model,
            price_model=price_model,
            base_model=base or name,
            is_fine_tuned=base is not None,
            matched_by=matched_by,
        )

    def _ordinary(self, name: str) -> tuple[str | None, MatchedBy | None]:
        if name in self.own:
            return name, "override"
        if listed := self._listed(name):
            return listed, "exact"
        if shorter := undated(name):
            found = shorter if shorter in self.own else self._listed(shorter)
            return found, "snapshot" if found else None
        return None, None

    def _fine_tuned(self, name: str, base: str) -> tuple[str | None, MatchedBy | None]:
        of_base = f"ft:{base}"
        for candidate in (name, of_base):
            if candidate in self.own:
                return candidate, "override"
        listed = self._listed(of_base)
        # the list has some fine-tuned names under the model they were made of
        if listed and fine_tuned_base(listed):
            return listed, "fine_tuned"
        return None, None

    def _listed(self, name: str) -> str | None:
        if name in self.listed:
            return name
        found = self.listed_model(name)
        return found if found in self.listed else None
