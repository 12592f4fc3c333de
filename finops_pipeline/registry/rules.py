"""What names, keys and attributes may look like, and how to refuse them without repeating a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from finops_pipeline.errors import UsageError

UNALLOCATED = "unallocated"
"""The team and project of spend that nobody registered; the marts add its row themselves."""

MAX_KEY_LENGTH = 4096
MAX_OPENAI_PROJECT_LENGTH = 255
MAX_SHOWN_LENGTH = 80

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_VISIBLE_ASCII = re.compile(r"[!-~]+")
_USUAL_ADMIN_KEY = re.compile(r"sk-admin-[A-Za-z0-9_-]{20,}")
_USUAL_PROJECT_KEY = re.compile(r"sk-(proj-|svcacct-)?[A-Za-z0-9_-]{20,}")
_USUAL_OPENAI_PROJECT = re.compile(r"proj_[A-Za-z0-9]{24}")
_KEY_PREFIX = re.compile(r"sk-(admin|proj|svcacct)-|^sk-[A-Za-z0-9]{20}")
_LONG_AND_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9_-]{32,}")


def looks_like_key(text: str) -> bool:
    """Whether a text given as a name is probably a key that went to the wrong place."""
    return bool(_KEY_PREFIX.search(text) or _LONG_AND_MIXED.fullmatch(text))


def shown(text: str) -> str:
    """The text in quotes for a message, unless it may be a key or would flood the line."""
    if looks_like_key(text):
        return "(not repeated here: it looks like a key)"
    return repr(text if len(text) <= MAX_SHOWN_LENGTH else text[:MAX_SHOWN_LENGTH] + "…")


def is_slug(text: str | None) -> bool:
    """Whether a text could be a team's or a project's id, and is no key."""
    return text is not None and not looks_like_key(text) and bool(_SLUG.fullmatch(text))


def check_slug(text: str, what: str) -> str:
    """A team's or project's id, unchanged.

    Raises:
        UsageError: not a lower-case slug of 1 to 63 characters, reserved, or a key by its looks.
    """
    if text == UNALLOCATED:
        raise UsageError(
            f"The {what} id {UNALLOCATED!r} is reserved for spend that belongs to no project.",
            "Choose another id.",
        )
    if not is_slug(text):
        raise UsageError(
            f"The {what} id {shown(text)} is not usable.",
            "Use 1 to 63 lower-case letters, digits, '-' and '_', the first a letter or digit.",
        )
    return text


def check_key(text: str) -> str:
    """An API key's text, unchanged.

    Raises:
        UsageError: it cannot be a key; the message says why and never repeats it.
    """
    problem = _key_problem(text)
    if problem:
        raise UsageError(
            f"The key {problem}; nothing was stored.",
            "Give exactly the key's text, on one line, without spaces or quotes around it.",
        )
    return text


def _key_problem(text: str) -> str:
    problems = {
        "is empty": not text.strip(),
        f"is longer than {MAX_KEY_LENGTH} characters": len(text) > MAX_KEY_LENGTH,
        "has more than one line": "\n" in text or "\r" in text,
        "has white space before or after it": text != text.strip(),
        "has white space inside": any(map(str.isspace, text)),
        "has characters outside ASCII": not text.isascii(),
        "has control characters": not _VISIBLE_ASCII.fullmatch(text),
    }
    return next((problem for problem, found in problems.items() if found), "")


def is_usual_admin_key(text: str) -> bool:
    """Whether the key looks like OpenAI's admin keys; others are stored all the same."""
    return _USUAL_ADMIN_KEY.fullmatch(text) is not None


def is_usual_project_key(text: str) -> bool:
    """Whether the key looks like OpenAI's project keys; others are stored all the same."""
    return _USUAL_PROJECT_KEY.fullmatch(text) is not None and not is_usual_admin_key(text)


def is_usual_openai_project(text: str) -> bool:
    """Whether the id looks like OpenAI's project ids; they are opaque, so others are accepted."""
    return _USUAL_OPENAI_PROJECT.fullmatch(text) is not None


def check_openai_project(text: str) -> str:
    """OpenAI's project id, unchanged.

    Raises:
        UsageError: empty, with white space, not ASCII, over 255 characters, or a key by its looks.
    """
    if (
        looks_like_key(text)
        or len(text) > MAX_OPENAI_PROJECT_LENGTH
        or not _VISIBLE_ASCII.fullmatch(text)
    ):
        raise UsageError(
            f"The OpenAI project id {shown(text)} is not usable.",
            "Copy it from the project's settings at OpenAI; it begins with proj_.",
        )
    return text


def attribute(text: str | None, what: str) -> str | None:
    """A free text without the white space around it; empty means none.

    Raises:
        UsageError: it has control characters, or is a key by its looks.
    """
    stripped = (text or "").strip()
    if looks_like_key(stripped) or not stripped.isprintable():
        raise UsageError(f"The {what} {shown(stripped)} is not usable.", "Use one line of text.")
    return stripped or None


def email(text: str | None, what: str) -> str | None:
    """A mail address without the white space around it; empty means none.

    Raises:
        UsageError: it has no ``@``, or white space inside.
    """
    address = attribute(text, what)
    if address is not None and not _EMAIL.fullmatch(address):
        raise UsageError(f"The {what} {shown(address)} is no mail address.", "Use name@domain.")
    return address


_ATTRIBUTES: dict[str, tuple[Callable[[str | None, str], str | None], str]] = {
    "team_name": (attribute, "team's name"),
    "parent_team_id": (attribute, "parent team"),
    "owner_email": (email, "owner's address"),
    "budget_owner_email": (email, "budget owner's address"),
    "cost_center": (attribute, "cost centre"),
    "project_name": (attribute, "project's name"),
    "environment": (attribute, "environment"),
}


ATTRIBUTES = frozenset({*_ATTRIBUTES, "tags"})
"""The names of all that is known of a team or a project in one period."""


def cleaned(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Attributes by their names, without the white space around them; empty ones become None.

    Raises:
        UsageError: one is not usable.
    """
    result = {}
    for name, value in given.items():
        check, what = _ATTRIBUTES[name]
        result[name] = check(value, what)
    return result


def merged_tags(old: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The old tags with the given ones over them; an empty value removes a tag.

    Raises:
        UsageError: a tag without a name.
    """
    tags = dict(old)
    for name, value in given.items():
        tag = attribute(name, "tag's name")
        if tag is None:
            raise UsageError("A tag has no name.", "Write tags as name=value.")
        tags[tag] = attribute(value, f"value of tag {tag!r}") or ""
    return {name: value for name, value in sorted(tags.items()) if value}


def unknown(what: str, text: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not registered, with the names it may have meant."""
    near = [] if looks_like_key(text) else get_close_matches(text, sorted(known), n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return UsageError(
        f"{what.capitalize()} {shown(text)} is not registered.{hint}",
        f"`finops {what} list` shows every {what}.",
    )
