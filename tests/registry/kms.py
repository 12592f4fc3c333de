"""AWS KMS on loopback: moto's server over its real protocol, and one that fails by script."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from boto3.session import Session
from moto.server import ThreadedMotoServer

from finops_pipeline.registry.envelope import KeyContext
from finops_pipeline.registry.kms import AwsKms

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient

WEB = KeyContext("web", "admin", "api.openai.com")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPFORTESTS00",
    "AWS_SECRET_ACCESS_KEY": "made-up-secret",
}


def set_up_boto(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Point boto3 at an endpoint; nothing of this machine's own configuration counts."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_KMS": endpoint,
    }
    for name, value in (CREDENTIALS | settings).items():
        monkeypatch.setenv(name, value)


@dataclass
class Kms:
    """A server of moto's, and a client of its own that sets keys up."""

    endpoint: str
    client: KMSClient

    def new_key(self) -> str:
        """The ARN of a fresh key."""
        return self.client.create_key()["KeyMetadata"]["Arn"]


@contextmanager
def moto_kms() -> Iterator[Kms]:
    """A running KMS; boto3 finds it by the environment of :func:`set_up_boto`."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = Session().client(
        "kms",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
    try:
        yield Kms(endpoint, client)
    finally:
        client.close()
        server.stop()


@dataclass
class ScriptedKms:
    """Answers each request with the next of ``answers``: (status, body)."""

    answers: deque[tuple[int, Any]] = field(default_factory=deque)
    asked: list[dict[str, Any]] = field(default_factory=list)
    endpoint: str = ""

    def refuse(self, code: str, status: int = 400, times: int = 1) -> None:
        """Refuse the next requests with an error of KMS."""
        self.answers.extend([(status, {"__type": code, "message": "scripted"})] * times)


@contextmanager
def scripted_kms() -> Iterator[ScriptedKms]:
    """A server that speaks KMS's protocol by script."""
    script = ScriptedKms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            action = self.headers["X-Amz-Target"].removeprefix("TrentService.")
            script.asked.append(json.loads(body) | {"action": action})
            status, answer = script.answers.popleft()
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    script.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def opened_kms(key_id: str | None) -> Iterator[AwsKms]:
    """A wrapper of the KMS that boto3 finds, closed again."""
    wrapper = AwsKms(key_id)
    try:
        yield wrapper
    finally:
        wrapper.close()
