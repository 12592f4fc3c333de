"""A line of a request log, version 1 of the schema: which fields there are, and what they hold.

A log has no place for what was said. Fields that are not named here are refused, and those that
are hold numbers, ids or short labels on one line.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MOST_TOKENS = 1_000_000_000
"""Of one request: beyond any context window there is, and far from what sums can hold."""

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Exclusive. The API is younger than the one, and a time after the other is a mistake."""

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]


_PARTS = (
    ("input_cached_tokens", "input_tokens"),
    ("input_audio_tokens", "input_tokens"),
    ("input_image_tokens", "input_tokens"),
    ("input_cached_image_tokens", "input_cached_tokens"),
    ("input_cached_image_tokens", "input_image_tokens"),
    ("output_audio_tokens", "output_tokens"),
    ("output_image_tokens", "output_tokens"),
)


class RequestLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One call of the API. Null is the same as an absent field.

    Cached, audio and image tokens are contained in the input's and the output's, and cached image
    tokens in the cached and in the image ones, as in OpenAI's answers.
    """

    request_id: Id
    requested_at: Annotated[datetime, Meta(tz=True)]
    model: Id
    openai_project_id: Id | None = None
    api_key_id: Id | None = None
    system_fingerprint: Label | None = None
    service_tier: Label | None = None
    is_batch: bool | None = None
    input_tokens: Tokens
    input_cached_tokens: Tokens | None = None
    input_audio_tokens: Tokens | None = None
    input_image_tokens: Tokens | None = None
    input_cached_image_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    output_audio_tokens: Tokens | None = None
    output_image_tokens: Tokens | None = None
    user_id: Id | None = None
    action: Label | None = None
    task_type: Label | None = None
    user_intent: Label | None = None
    schema_version: Literal[1] | None = None

    def __post_init__(self) -> None:
        if not EARLIEST <= self.requested_at < LATEST:
            raise ValueError("requested_at must lie between 2020 and 2099")
        if self.openai_project_id is None and self.api_key_id is None:
            raise ValueError("one of openai_project_id and api_key_id is needed")
        if self.api_key_id is not None and self.api_key_id.startswith("sk-"):
            raise ValueError("api_key_id must be OpenAI's id of the key, never the key itself")
        for part, whole in _PARTS:
            if (tokens := getattr(self, part)) and tokens > (getattr(self, whole) or 0):
                raise ValueError(f"{part} must not exceed {whole}")
        sound, images = self.output_audio_tokens, self.output_image_tokens
        if sound and images and sound + images > (self.output_tokens or 0):
            raise ValueError("output_audio_tokens and output_image_tokens exceed output_tokens")


FIELDS = RequestLine.__struct_fields__

_TEXTS = (
    "request_id",
    "model",
    "openai_project_id",
    "api_key_id",
    "system_fingerprint",
    "service_tier",
    "user_id",
    "action",
    "task_type",
    "user_intent",
)

_ID_RULE = "a text of 1 to 128 characters"
_LABEL_RULE = "a text of 1 to 64 characters"
_TOKENS_RULE = f"a whole number from 0 to {MOST_TOKENS}"
_RULES = {
    **dict.fromkeys(
        ("request_id", "model", "openai_project_id", "api_key_id", "user_id"), _ID_RULE
    ),
    **dict.fromkeys(
        ("system_fingerprint", "service_tier", "action", "task_type", "user_intent"), _LABEL_RULE
    ),
    **dict.fromkeys((name for name in FIELDS if name.endswith("_tokens")), _TOKENS_RULE),
    "requested_at": "a time with its zone, as 2026-03-01T09:30:00Z",
    "is_batch": "true or false",
    "schema_version": "1",
}

CONTENT_FIELDS = frozenset(
    re.findall(
        r"\w+",
        """
    answer arguments audio body choices completion completions content contents data delta
    function_call image input inputs instructions message messages output outputs parts prompt
    prompts query question reasoning reasoning_content refusal request response responses summary
    system system_prompt text tool_calls tools transcript user_message
    """,
    )
)
"""Names under which applications and OpenAI's API keep what was said. Any unknown field is refused:
these are told apart only so that whoever wrote them understands why."""

NO_OBJECT = "is no JSON object"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}", re.ASCII)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_PLACE = re.compile(r" - at `\$\.(\w+)[^`]*`$")


def check_texts(line: RequestLine) -> None:
    """Refuse what could hold more than a label, or steer a terminal.

    Raises:
        ValueError: a text is not printable, or has more than one line.
    """
    for name in _TEXTS:
        text = getattr(line, name)
        if text is not None and not text.isprintable():
            raise ValueError(f"{name} must be printable and on one line")


def unknown_field(name: str) -> str:
    """Why a field that is not in the schema is refused."""
    if not _NAME.fullmatch(name):
        # A name can hold anything as well.
        return "a field is unknown, whose name is too long or too odd to repeat"
    if name.lower() in CONTENT_FIELDS:
        return f"field {name} holds message content, which is never stored"
    return f"field {name} is unknown"


def why_refused(error: ValueError) -> str:
    """What is wrong with a line, without any of its values.

    Args:
        error: From decoding or converting the line, or from :func:`check_texts`.
    """
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    text = str(error)
    if not isinstance(error, msgspec.DecodeError) or isinstance(error.__cause__, ValueError):
        return text  # our own
    if found := _UNKNOWN.match(text):
        text = unknown_field(found[1])
    elif found := _MISSING.match(text):
        text = f"{found[1]} is missing"
    elif found := _PLACE.search(text):
        text = f"{found[1]} must be {_RULES[found[1]]}"
    else:
        text = NO_OBJECT
    return text
