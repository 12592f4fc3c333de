"""What the usage endpoints tell: rows by their dimensions and measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finops_pipeline.simulator.catalogue import LineItem, UsageEndpoint
from finops_pipeline.simulator.gaps import Told

_BY_KEY = ("project_id", "user_id", "api_key_id")
_BY_MODEL = (*_BY_KEY, "model")
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_cache_write_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_cached_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "input_cached_image_tokens",
    "num_model_requests",
)
OLD_TOKENS = (
    "input_tokens",
    "output_tokens",
    "input_cached_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "num_model_requests",
)
"""What completions measured before the finer ones came."""

_TOKENS_PER_REQUEST = 1_500


@dataclass(frozen=True)
class Endpoint:
    """How a usage endpoint answers.

    Attributes:
        object: The name of its result objects, between ``organization.usage.`` and ``.result``.
        dimensions: What it can be grouped by; the rest of them stays null.
        measures: What it counts; a row has all of them.
    """

    object: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]


ENDPOINTS: dict[UsageEndpoint, Endpoint] = {
    "completions": Endpoint("completions", (*_BY_MODEL, "batch", "service_tier"), _TOKENS),
    "embeddings": Endpoint("embeddings", _BY_MODEL, ("input_tokens", "num_model_requests")),
    "moderations": Endpoint("moderations", _BY_MODEL, ("input_tokens", "num_model_requests")),
    "images": Endpoint("images", (*_BY_MODEL, "size", "source"), ("images", "num_model_requests")),
    "audio_speeches": Endpoint("audio_speeches", _BY_MODEL, ("characters", "num_model_requests")),
    "audio_transcriptions": Endpoint(
        "audio_transcriptions", _BY_MODEL, ("seconds", "num_model_requests")
    ),
    "vector_stores": Endpoint("vector_stores", ("project_id",), ("usage_bytes",)),
    "code_interpreter_sessions": Endpoint(
        "code_interpreter_sessions", ("project_id",), ("num_sessions",)
    ),
    "file_search_calls": Endpoint(
        "file_searches", (*_BY_KEY, "vector_store_id"), ("num_requests",)
    ),
    "web_search_calls": Endpoint(
        "web_searches", (*_BY_MODEL, "context_level"), ("num_requests", "num_model_requests")
    ),
}

Dimension = str | bool | None
UsageRow = tuple[dict[str, Dimension], dict[str, int]]
"""Dimensions, null unless grouped by, and measures."""


def rows(
    endpoint: UsageEndpoint,
    told: Iterable[Told],
    dimensions: frozenset[str],
    only: dict[str, frozenset[str]],
) -> list[UsageRow]:
    """Sums over what is not grouped by, in the order of first appearance.

    Args:
        endpoint: Whose rows.
        told: What it tells of.
        dimensions: What is grouped by.
        only: Dimension → the values that are wanted, as text; none: all of them.
    """
    known = ENDPOINTS[endpoint]
    sums: dict[tuple[Dimension, ...], UsageRow] = {}
    for each in told:
        about = _about(endpoint, each)
        if any(str(about[name]) not in wanted for name, wanted in only.items()):
            continue
        shown = {name: about[name] if name in dimensions else None for name in known.dimensions}
        _, measures = sums.setdefault(
            tuple(shown.values()), (shown, dict.fromkeys(known.measures, 0))
        )
        for measure in _counted(each.consumed.item):
            measures[measure] += each.used
        if "num_model_requests" in measures:
            measures["num_model_requests"] += _requests(each)
    return list(sums.values())


def _about(endpoint: UsageEndpoint, told: Told) -> dict[str, Dimension]:
    consumed = told.consumed
    item = consumed.item
    about: dict[str, Dimension] = {
        "project_id": consumed.project_id,
        "user_id": consumed.user_id,
        "api_key_id": consumed.api_key_id,
        "model": _model(item),
    }
    match endpoint:
        case "completions":
            about["batch"] = item.surface == "batch"
            tier = item.surface if item.surface in ("flex", "priority") else "default"
            about["service_tier"] = tier
        case "images":
            about |= {"size": "1024x1024", "source": "image.generation"}
        case "file_search_calls":
            digest = hashlib.sha256(f"store of {consumed.project_id}".encode()).hexdigest()
            about["vector_store_id"] = f"vs_{digest[:24]}"
        case "web_search_calls":
            about["context_level"] = "medium"
        case _:
            pass
    return about


def _model(item: LineItem) -> str | None:
    """The model as usage writes it; services have the model that used them, or none."""
    if item.model is None:
        return {"images": "dall-e-3", "web_search_calls": "gpt-4o-2024-08-06"}.get(item.endpoint)
    base = item.model.removeprefix("ft-")
    return item.model if base == item.model else f"ft:{base}:acme:helpdesk:9xKq2mLr"


def _counted(item: LineItem) -> Iterator[str]:
    """The measures that one unit of an item adds to."""
    if item.endpoint != "completions":
        yield ENDPOINTS[item.endpoint].measures[0]
        return
    modality = item.modality or "text"
    kind = (item.kind or "").removesuffix("_tokens").replace("_", " ")
    if kind == "output":
        yield "output_tokens"
        yield f"output_{modality}_tokens"
        return
    yield "input_tokens"
    if kind == "cache writes":
        yield "input_cache_write_tokens"
    elif kind == "cached input":
        yield "input_cached_tokens"
        yield f"input_cached_{modality}_tokens"
    else:
        yield "input_uncached_tokens"
        yield f"input_{modality}_tokens"


def _requests(told: Told) -> int:
    """Requests behind a consumption: counted at its input, and at what is counted by the call."""
    item = told.consumed.item
    if item.service is not None:
        return told.used
    is_input = item.kind in ("input", "input_tokens")
    return 1 + told.used // _TOKENS_PER_REQUEST if is_input else 0
