"""Logs of the requests behind a simulated company's usage, as its applications would keep them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from finops_pipeline.simulator.catalogue import UsageEndpoint
from finops_pipeline.simulator.organization import Organization
from finops_pipeline.simulator.scenario import Scenario
from finops_pipeline.simulator.usage import ENDPOINTS, UsageRow, rows

Request = dict[str, Any]
"""A line of a request log: only fields of its schema, those that do not apply left out."""

_LOGGED: tuple[UsageEndpoint, ...] = ("completions", "embeddings")
_DETAILS = {
    "input_tokens": ("input_cached_tokens", "input_audio_tokens", "input_image_tokens"),
    "output_tokens": ("output_audio_tokens", "output_image_tokens"),
}
"""What a line tells of its tokens, and of which."""

_LONG_REQUEST = 900_000
"""Input tokens of a usual request with a long context: the smallest is above the 272,000 from which
the list counts one as long."""

_DAY_IN_MILLISECONDS = 24 * 60 * 60 * 1000
_USERS_OF_A_KEY = 6
_LABELS = (
    ("answer_ticket", "generation", "resolve_issue"),
    ("answer_ticket", "extraction", "resolve_issue"),
    ("summarize_thread", "summarization", "catch_up"),
    ("rank_results", "classification", "find_product"),
    ("rank_results", "classification", None),
    ("draft_reply", "generation", "write_text"),
    ("moderate_comment", "classification", None),
)


def requests_of_day(
    organization: Organization, day: date, *, seed: int, tokens_per_request: int = 1_500
) -> Iterator[Request]:
    """The requests of a whole UTC day, which add up exactly to what usage tells of it.

    Those of completions and embeddings, by endpoint, project, key, model and tier; the same for the
    same arguments.

    Args:
        tokens_per_request: Input tokens of a usual request, at most 100,000: the more, the fewer
            requests there are. Those of an ordinary key and model are some 1,600 a day by default.
    """
    # String seeds are hashed by random itself, so they mean the same in every process.
    draw = random.Random(f"requests/{seed}/{organization.simulated.id}/{day}")  # noqa: S311
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    number = 0
    for endpoint in _LOGGED:
        told = organization.used(endpoint, day)
        for is_long in (False, True):
            alike = [each for each in told if each.consumed.item.long_context == is_long]
            usual = _LONG_REQUEST if is_long else tokens_per_request
            for row in rows(endpoint, alike, frozenset(ENDPOINTS[endpoint].dimensions), {}):
                for tokens in _requests_of_row(row, usual, draw):
                    number += 1
                    moment = timedelta(milliseconds=draw.randrange(_DAY_IN_MILLISECONDS))
                    names = f"{seed}/{organization.simulated.id}/{day}/{number}"
                    yield {
                        "request_id": f"req_{_digest(names)}",
                        "requested_at": (midnight + moment).isoformat(timespec="milliseconds"),
                        **_about(row, draw),
                        **tokens,
                    }


def write_request_logs(
    scenario: Scenario,
    folder: Path,
    start: date,
    end: date,
    *,
    tokens_per_request: int = 1_500,
) -> list[Path]:
    """Write a file of JSON Lines for each organization and day from ``start`` to ``end``.

    Both days are included. The files are the same for the same arguments; what was restated in a
    running simulator is not looked at.

    Args:
        folder: Is created if need be.
        tokens_per_request: As of :func:`requests_of_day`.

    Returns:
        The files, those of days without a request left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for simulated in scenario.organizations:
        organization = Organization(simulated, seed=scenario.seed, start=scenario.start)
        for number in range((end - start).days + 1):
            day = start + timedelta(days=number)
            lines = [
                json.dumps(request, separators=(",", ":"))
                for request in requests_of_day(
                    organization, day, seed=scenario.seed, tokens_per_request=tokens_per_request
                )
            ]
            if lines:
                path = folder / f"requests-{simulated.id}-{day}.jsonl"
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
                written.append(path)
    return written


def _requests_of_row(row: UsageRow, usual: int, draw: random.Random) -> Iterator[dict[str, int]]:
    """Token counts of the requests that make up one row of usage."""
    measures = row[1]
    parts: dict[str, int] = {}
    for whole, details in _DETAILS.items():
        told = {name: measures.get(name, 0) for name in details}
        parts |= {**told, whole: measures.get(whole, 0) - sum(told.values())}
    count = max(1, measures["input_tokens"] // usual)
    for shares in zip(*(_split(total, count, draw) for total in parts.values()), strict=True):
        tokens = dict(zip(parts, shares, strict=True))
        for whole, details in _DETAILS.items():
            tokens[whole] += sum(tokens[name] for name in details)
        yield {name: each for name, each in tokens.items() if each or name in _DETAILS}


def _split(total: int, count: int, draw: random.Random) -> Iterator[int]:
    """``count`` whole numbers that add up to ``total``, around half to one and a half the mean."""
    weights = [512 + draw.getrandbits(10) for _ in range(count)]
    whole = sum(weights)
    reached = given = 0
    for weight in weights:
        reached += weight
        upto = total * reached // whole
        yield upto - given
        given = upto


def _about(row: UsageRow, draw: random.Random) -> Request:
    about = row[0]
    action, task_type, user_intent = _LABELS[draw.randrange(len(_LABELS))]
    user = draw.randrange(_USERS_OF_A_KEY)
    model = str(about["model"])
    request = {
        "openai_project_id": about["project_id"],
        "api_key_id": about["api_key_id"],
        "model": model,
        "system_fingerprint": f"fp_{_digest(model)[:10]}",
        "service_tier": about.get("service_tier"),
        "is_batch": about.get("batch"),
        "user_id": f"{about['user_id']}-{user}",
        "action": action,
        "task_type": task_type,
        "user_intent": user_intent,
    }
    return {name: value for name, value in request.items() if value is not None}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
