"""Refusals, worded and shaped as the API does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse


@dataclass
class RefusalError(Exception):
    """The API says no: its status, and its envelope ``{error: {message, type, param, code}}``."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return JSONResponse({"error": error}, status_code=self.status, headers=self.headers)


def no_key() -> RefusalError:
    """No bearer token came with the call."""
    return RefusalError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def wrong_key(key: str) -> RefusalError:
    """A key that opens nothing; the message shows its ends alone, as the API's does."""
    prefix = "sk-admin-" if key.startswith("sk-admin-") else key[:3]
    return RefusalError(
        401,
        f"Incorrect API key provided: {prefix}********{key[-4:]}. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def missing_scope(scope: str, status: int) -> RefusalError:
    """A key that may not make this call; the API answers 401 or 403."""
    return RefusalError(
        status,
        "You have insufficient permissions for this operation. "
        f"Missing scopes: {scope}. Check that you have the correct role in your organization.",
    )


def no_project_key() -> RefusalError:
    """An admin key at the legacy endpoint, which takes ordinary keys."""
    return RefusalError(
        403,
        "Access denied. Your request to GET /v1/usage must be made with a project key. You made it "
        "with the following key type: admin.",
    )


def too_many_requests(retry_after: int) -> RefusalError:
    """A key that asks too often; ``retry_after`` in seconds."""
    return RefusalError(
        429,
        f"Rate limit reached for requests. Please try again in {retry_after}s.",
        type="requests",
        code="rate_limit_exceeded",
        headers={"retry-after": str(retry_after)},
    )


def bad_parameter(param: str, message: str) -> RefusalError:
    """A parameter that the API does not take, or not with this value."""
    return RefusalError(400, message, param=param)
