"""Refusals are understood by their words; the status alone decides nothing it cannot know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops_pipeline.openai_admin.errors import quoted, refusal


def envelope(message: str, kind: str = "", code: str | None = None) -> bytes:
    return json.dumps(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}
    ).encode()


SCOPES = (
    "You have insufficient permissions for this operation. Missing scopes: api.usage.read. Check "
    "that you have the correct role in your organization (Reader, Writer, Owner)."
)
WRONG_KEY = (
    "Incorrect API key provided: sk-admin-abc***xyz. You can find your API key at "
    "https://platform.openai.com/account/api-keys."
)
MISMATCH = "OpenAI-Organization header should match organization for API key"
NO_MEMBER = "You must be a member of an organization to use the API."
NO_ADMIN = "You must be using an admin key; yours is not an admin key."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
TOO_FAST = (
    "Rate limit reached. You can raise it by adding a payment method at "
    "https://platform.openai.com/account/billing."
)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, envelope(SCOPES), "missing_scope"),
        (403, envelope(SCOPES), "missing_scope"),
        (400, envelope(SCOPES), "missing_scope"),
        (403, b'{"error": "Missing scopes: api.usage.read"}', "missing_scope"),
        (401, envelope("This endpoint requires an admin API key."), "missing_scope"),
        (403, envelope(NO_ADMIN), "missing_scope"),
        (403, envelope("Insufficient permissions"), "missing_scope"),
        (403, envelope("You are not allowed to do this."), "missing_scope"),
        (401, envelope(WRONG_KEY, "invalid_request_error", "invalid_api_key"), "bad_key"),
        (401, envelope(WRONG_KEY), "bad_key"),
        (403, envelope(WRONG_KEY), "bad_key"),
        (400, envelope("", "", "invalid_api_key"), "bad_key"),
        (401, envelope("Your admin key has been revoked."), "bad_key"),
        (401, b'{"error": "nope"}', "bad_key"),
        (401, b"", "bad_key"),
        (401, envelope(MISMATCH, "", "mismatched_organization"), "wrong_organization"),
        (403, envelope(NO_MEMBER), "wrong_organization"),
        (401, envelope(MISMATCH), "wrong_organization"),
        (401, envelope("You are not a member of the organization org-x."), "wrong_organization"),
        (404, envelope("No such organization: org-x"), "wrong_organization"),
        (429, envelope(TOO_FAST), "rate_limited"),
        (429, b"slow down", "rate_limited"),
        (429, envelope(QUOTA, "insufficient_quota", "insufficient_quota"), "rate_limited"),
        (403, envelope(QUOTA), "rate_limited"),
        (500, b"", "outage"),
        (502, b"<html><h1>Bad Gateway</h1></html>", "outage"),
        (503, b"[]", "outage"),
        (404, envelope("Not found"), "outage"),
        (400, envelope("Unsupported group_by"), "broken_answer"),
        (403, b"<html>Your country is blocked</html>", "broken_answer"),
        (418, b'{"error": {"message": {"deep": 1}, "code": 7}}', "broken_answer"),
        (400, b'{"error": null}', "broken_answer"),
    ],
)
def test_reason(status: int, body: bytes, reason: str) -> None:
    meaning = refusal(status, body, retry_after=None, secret="")
    assert meaning.reason == reason
    assert str(status) in meaning.text
    assert "None" not in meaning.text


def test_missing_scope_is_named() -> None:
    meaning = refusal(
        403,
        envelope("Missing scopes: api.usage.read, api.management.read."),
        retry_after=None,
        secret="",
    )
    assert "lacks the scope api.usage.read, api.management.read (" in meaning.text
    assert "api.usage.read, api.management.read in OpenAI's" in meaning.fix
    assert "finops key rotate {team}" in meaning.fix


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "retryable"),
    [
        (429, envelope(TOO_FAST), None, True),
        (429, envelope(TOO_FAST), 2.0, True),
        (429, envelope(QUOTA), None, False),
        (429, envelope(QUOTA), 2.0, True),
        (429, envelope(QUOTA, "insufficient_quota"), 2.0, False),
        (500, b"", None, True),
        (404, b"", None, True),
        (400, b"", None, False),
        (401, b"", None, False),
        (403, b"", None, False),
    ],
)
def test_what_is_worth_asking_again(
    status: int, body: bytes, retry_after: float | None, retryable: bool
) -> None:
    assert refusal(status, body, retry_after=retry_after, secret="").retryable is retryable


def test_quota_needs_a_person() -> None:
    assert "billing" in refusal(429, envelope(QUOTA), retry_after=None, secret="").fix


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-admin-abc***xyz.",
        "key sk-proj-AbC_123-x, try again",
        "header 'Bearer abc.def' is wrong",
        "SK-ADMIN-ABC***",
        "odd key hunter2hunter2 here",
    ],
)
def test_quotes_hold_no_key(text: str) -> None:
    line = quoted(text, "hunter2hunter2")
    for part in ("abc", "AbC", "ABC", "hunter2"):
        assert part not in line.replace("Incorrect API key", "")


def test_quotes_are_one_short_line() -> None:
    line = quoted("a\r\n\x1b[31m b\x00" + "c" * 100_000)
    assert line.startswith("a [31m bccc")
    assert len(line) == 300
    assert line.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe", b"null", b'"text"', b"7", b"{}"])
def test_any_body_can_be_understood(body: bytes) -> None:
    meaning: Any = refusal(500, body, retry_after=None, secret="")
    assert meaning.reason == "outage"
    assert len(meaning.text) < 400
