"""The key is in no message, traceback, repr or log, whatever the server sends back."""

from __future__ import annotations

import logging
import traceback
from datetime import date

import pytest

from finops_pipeline.openai_admin import AdminClient, OpenAIError
from tests.openai_admin.conftest import KEY, Reply, ScriptedServer, bucket, page, row

DAY = date(2026, 1, 1)
REFUSED = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}


def read(client: AdminClient) -> None:
    list(client.costs(DAY, date(2026, 1, 2), rows_per_bucket=None))


@pytest.mark.parametrize("key", ["", " ", "sk-s3cret\n", "sk s3cret", "sk-s3cret\x00", "sk-s3crét"])
def test_key_that_cannot_be_a_header_is_not_sent(server: ScriptedServer, key: str) -> None:
    with server.client(api_key=lambda: key) as client, pytest.raises(OpenAIError) as caught:
        read(client)
    assert caught.value.reason == "bad_key"
    assert "s3cr" not in everything(caught.value)
    assert server.asked == []


def everything(caught: BaseException) -> str:
    """All that a traceback could print: causes, contexts, and local variables of the client."""
    parts = traceback.format_exception(caught)
    context: BaseException | None = caught
    while context is not None:
        parts.append(repr(context) + repr(vars(context)))
        frames = [frame for frame, _ in traceback.walk_tb(context.__traceback__)]
        parts += [repr(f.f_locals) for f in frames if f.f_code.co_filename != __file__]
        context = context.__cause__ or context.__context__
    return "".join(parts)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(REFUSED, 401),
        Reply({"error": f"boom {KEY} boom"}, 500),
        Reply(f"<html>{KEY}</html>".encode(), 403),
        Reply(drop=True),
        Reply(page(bucket(DAY, row(f"{KEY}")))),
        Reply(page(bucket(DAY, row("NaN", line_item=KEY)))),
        Reply(page(bucket(DAY), has_more=KEY)),
        Reply(b"", 302, headers={"Location": f"/{KEY}"}),
    ],
)
def test_nothing_that_is_said_holds_the_key(
    server: ScriptedServer,
    reply: Reply,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.otherwise = lambda _: reply
    with server.client() as client:
        with pytest.raises(OpenAIError) as caught:
            read(client)
        assert KEY not in repr(client) + repr(vars(client))
    assert server.asked[0].authorization == f"Bearer {KEY}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert KEY not in str(caught.value) + everything(caught.value)
    # httpcore logs a server's headers as they came, so the one that plays a trick is left out.
    logged = [
        record.getMessage() for record in caplog.records if "Location" not in record.getMessage()
    ]
    assert KEY not in "".join(logged) + "".join(capsys.readouterr())
