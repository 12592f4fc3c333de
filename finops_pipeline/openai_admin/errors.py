"""What went wrong between OpenAI and us, in words for the person who has to mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from finops_pipeline.errors import FinopsError

Reason = Literal[
    "bad_key",
    "missing_scope",
    "wrong_organization",
    "rate_limited",
    "outage",
    "broken_answer",
    "unsupported",
]

QUOTE_LENGTH = 300
"""Longest piece of a server's text that we repeat, in characters."""


class OpenAIError(FinopsError):
    """OpenAI's organization API could not be read; the text names team and page, never the key.

    Attributes:
        reason: ``bad_key``, ``missing_scope``, ``wrong_organization``, ``rate_limited``,
            ``outage``, ``broken_answer``, or ``unsupported``: the organization does without this
            endpoint, which may be left out.
    """

    def __init__(self, reason: Reason, message: str, fix: str) -> None:
        super().__init__(message, fix)
        self.reason: Reason = reason


class BrokenBodyError(Exception):
    """The body is no JSON, as after a cut connection: worth asking again."""


class BrokenPageError(Exception):
    """The body is JSON and still no page we may count: asking again gives the same."""


@dataclass(frozen=True)
class Refusal:
    """A status other than 2xx, understood.

    Attributes:
        reason: What kind of error it is.
        text: What to tell, server text included; one line, without keys.
        fix: What to do next; ``{team}`` stands for the team.
        retryable: Whether the same request may succeed after a while.
    """

    reason: Reason
    text: str
    fix: str
    retryable: bool = False


FIXES: dict[Reason, str] = {
    "bad_key": "Register a valid admin key with `finops key rotate {team}`.",
    "missing_scope": (
        "Give the admin key {scope} in OpenAI's organization settings, or register another key "
        "with `finops key rotate {team}`."
    ),
    "wrong_organization": (
        "Register an admin key of the team's own organization with `finops key rotate {team}`."
    ),
    "rate_limited": "Run again later; days that arrived stay, and the rest is filled in.",
    "outage": "Run again later; days that arrived stay, and the rest is filled in.",
    "broken_answer": (
        "Nothing of that answer was counted. Run again; if it stays, OpenAI's answers have "
        "changed: report it with this message."
    ),
    "unsupported": (
        "The rest of the team's data is not affected; this endpoint is asked again by later runs."
    ),
}

_QUOTA_FIX = "Somebody must settle quota or billing in OpenAI's organization settings; then rerun."

_KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9])sk-[^\s\"'<>,;)\]}]+|(?<=Bearer )[^\s\"'<>]+", re.IGNORECASE
)
_SCOPES = re.compile(
    r"missing scopes?\s*:\s*((?:[\w*-]+\.)*[\w*-]+(?:\s*,\s*(?:[\w*-]+\.)+[\w*-]+)*)"
)
_NO_ADMIN_KEY = re.compile(
    r"insufficient[ _]permission|missing[ _]scope"
    r"|(?:requires?|needs?|must (?:use|be)|not|only|with) (?:an? )?admin[ _](?:api )?key"
    r"|admin (?:api )?keys? (?:is|are) required"
)
_WRONG_ORGANIZATION = re.compile(
    r"mismatched[ _]organi[sz]ation|organi[sz]ation[ _]mismatch|no such organi[sz]ation"
    r"|match (?:the )?organi[sz]ation|(?:not|must be) a member of"
    r"|(?:does not|doesn't|not) (?:belong to|have access to|part of) (?:\w+ ){0,2}organi[sz]ation"
    r"|(?:invalid|incorrect|wrong|different) organi[sz]ation"
)
_BAD_KEY = re.compile(
    r"invalid_api_key|(?:incorrect|invalid|unknown|malformed|expired|revoked|inactive) api[ _]key"
    r"|key (?:has been|was|is) (?:revoked|deleted|disabled|deactivated|expired|invalid|incorrect)"
    r"|(?:provide|missing) (?:an |your )?api[ _]key|invalid authentication"
)
_NO_PERMISSION = re.compile(r"permission|not authori[sz]ed|not allowed|access denied|forbidden")
_QUOTA = re.compile(r"\bquota\b|plan and billing|billing (?:hard )?limit|billing_hard_limit")


def quoted(text: str, *secrets: str) -> str:
    """``text`` on one line, at most 300 characters, without anything that resembles a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "sk-…")
    # Cut generously first: scrubbing a megabyte of HTML would be wasted work.
    line = " ".join(_KEY_LIKE.sub("sk-…", text[: QUOTE_LENGTH * 20]).split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= QUOTE_LENGTH else line[: QUOTE_LENGTH - 1] + "…"


def refusal(
    status: int,
    body: bytes,
    *,
    retry_after: float | None,
    secret: str,
    optional: bool = False,
) -> Refusal:
    """Say what an error answer means, by its message and codes; the status only helps.

    The same missing scope has been seen as 401 and as 403, and envelopes come without ``type``,
    ``param`` and ``code``, as ``{"error": "text"}`` and as HTML. So the words decide first.

    Args:
        status: HTTP status, 400 and above.
        body: The answer's body, whatever it is.
        retry_after: Seconds the server asked to wait; None when it did not.
        secret: The key in use, which servers echo and which must not be repeated.
        optional: Whether an organization may do without what was asked for.
    """
    message, codes = _envelope(body)
    words = quoted(message, secret)
    told = f"{status}: {words}" if words else f"{status} without a reason"
    text = f"{words} {codes}".lower()
    by_words = _by_words(text, told, person=retry_after is None)
    if by_words is None and optional and status in {400, 404}:
        return _refusal("unsupported", f"OpenAI does not offer it here ({told})")
    return by_words or _by_status(status, text, told)


def _by_words(text: str, told: str, *, person: bool) -> Refusal | None:
    """``person``: a text about quota means that waiting will not help, but somebody must act."""
    if scopes := _SCOPES.search(text):
        scope = scopes.group(1)
        return _refusal("missing_scope", f"the key lacks the scope {scope} ({told})", scope=scope)
    if _WRONG_ORGANIZATION.search(text):
        return _refusal("wrong_organization", f"the key belongs to another organization ({told})")
    if _NO_ADMIN_KEY.search(text):
        return _refusal("missing_scope", f"the key is no admin key or lacks a scope ({told})")
    if _BAD_KEY.search(text):
        return _refusal("bad_key", f"OpenAI does not accept the key ({told})")
    if "insufficient_quota" in text or (person and _QUOTA.search(text)):
        return Refusal("rate_limited", f"quota or budget is used up ({told})", _QUOTA_FIX)
    return None


def _by_status(status: int, text: str, told: str) -> Refusal:
    if status == 429:
        return _refusal("rate_limited", f"too many requests ({told})", retryable=True)
    if status >= 500 or status in {404, 408}:
        # 404 on costs has been a day-long outage: it never means "no data".
        return _refusal("outage", f"OpenAI answered {told}", retryable=True)
    if status == 401:
        return _refusal("bad_key", f"OpenAI refused the key ({told})")
    if status == 403 and _NO_PERMISSION.search(text):
        return _refusal("missing_scope", f"OpenAI refused access ({told})")
    return _refusal("broken_answer", f"OpenAI refused the request ({told})")


def _refusal(reason: Reason, text: str, *, scope: str = "", retryable: bool = False) -> Refusal:
    scope = f"the scope {scope}" if scope else "the scope api.usage.read"
    return Refusal(reason, text, FIXES[reason].replace("{scope}", scope), retryable)


def _envelope(body: bytes) -> tuple[str, str]:
    """Message, and type, code and param as one text, of whatever an error answer carries."""
    try:
        decoded = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return re.sub(r"<[^>]*>", " ", body[: QUOTE_LENGTH * 20].decode("utf-8", "replace")), ""
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    if not isinstance(error, dict):
        return ("" if error is None else str(error)), ""
    codes = " ".join(str(error[name]) for name in ("type", "code", "param") if error.get(name))
    return str(error.get("message") or ""), codes
