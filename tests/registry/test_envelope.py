"""No changed, moved or redirected ciphertext ever opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry, envelope, open_registry
from finops_pipeline.registry.envelope import KeyContext, SealedKey, UndecryptableError
from finops_pipeline.registry.key_file import LocalKeyFile
from finops_pipeline.settings import Settings

WEB = KeyContext("web", "admin", "api.openai.com")
FIELDS = ("encrypted_key", "encrypted_data_key", "iv")


@pytest.fixture
def wrapper(tmp_path: Path) -> LocalKeyFile:
    file = LocalKeyFile(tmp_path / "keys" / "key")
    file.prepare([])
    return file


def test_what_was_sealed_opens(wrapper: LocalKeyFile, key: str) -> None:
    sealed = envelope.seal(key, WEB, wrapper.new_data_key(WEB))

    assert envelope.unseal(sealed, WEB, wrapper) == key
    assert key.encode() not in sealed.encrypted_key + sealed.encrypted_data_key


def test_every_key_gets_its_own_data_key_and_nonces(wrapper: LocalKeyFile, key: str) -> None:
    sealed = [envelope.seal(key, WEB, wrapper.new_data_key(WEB)) for _ in range(20)]
    data_keys = {wrapper.unwrap(one.encrypted_data_key, one.wrapped_by, WEB) for one in sealed}

    assert len(data_keys) == len({one.iv for one in sealed}) == 20
    assert len({one.encrypted_data_key[: envelope.NONCE_BYTES] for one in sealed}) == 20
    assert {len(data_key) for data_key in data_keys} == {32}


def test_the_stored_format_stays_readable(tmp_path: Path) -> None:
    """Sealed once and for all with the wrapping key 00 01 … 1f: stored keys outlive releases."""
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(bytes(range(32)))
    sealed = SealedKey(
        encrypted_key=bytes.fromhex(
            "aa0da3fec53c37b9f34d0522265631bd2040d1ea2fb2450ce17cb1f61928e0"
        ),
        encrypted_data_key=bytes.fromhex(
            "c3d8cf0a27a312717eb12da7ac6869a0ed5a5834c8325e2921621379bbcb"
            "3cc24784e699031d9da0e95834dff6d1d69648150ab445ab8b3465afbd57"
        ),
        iv=bytes.fromhex("5b64917f7836c42e3ce7cb48"),
        wrapped_by="local:630dcd29",
    )

    assert envelope.unseal(sealed, WEB, LocalKeyFile(path)) == "sk-admin-vector"


def test_the_context_is_canonical() -> None:
    expected = b'{"api_host":"api.openai.com","key_type":"admin","team_id":"web"}'
    assert WEB.associated_data() == expected
    assert replace(WEB, key_type="project", project_id="shop").associated_data() == (
        b'{"api_host":"api.openai.com","key_type":"project","project_id":"shop","team_id":"web"}'
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(WEB, team_id="mobile"),
        replace(WEB, key_type="project"),
        replace(WEB, api_host="127.0.0.1:8080"),
        replace(WEB, project_id="shop"),
    ],
)
def test_neither_half_opens_in_another_context(
    wrapper: LocalKeyFile, key: str, other: KeyContext
) -> None:
    sealed = envelope.seal(key, WEB, wrapper.new_data_key(WEB))
    data_key = wrapper.unwrap(sealed.encrypted_data_key, sealed.wrapped_by, WEB)

    with pytest.raises(UndecryptableError):
        wrapper.unwrap(sealed.encrypted_data_key, sealed.wrapped_by, other)
    with pytest.raises(UndecryptableError):
        envelope.decrypt(data_key, sealed.iv, sealed.encrypted_key, other)


@pytest.mark.parametrize("field", FIELDS)
def test_a_stored_field_with_any_byte_changed_does_not_open(
    registry: Registry, sql: Callable[..., list[tuple[Any, ...]]], key: str, field: str
) -> None:
    registry.add_team("web")
    registry.register_key("web", key)
    [(stored,)] = sql(f"SELECT {field} FROM api_keys")
    changed = [
        stored[:place] + bytes([stored[place] ^ 0xFF]) + stored[place + 1 :]
        for place in range(len(stored))
    ]
    cut = [stored[:length] for length in (0, 1, len(stored) // 2, len(stored) - 1)]

    for value in [*changed, *cut, stored + b"\0"]:
        sql(f"UPDATE api_keys SET {field} = ?", value)
        active = registry.active_admin_key("web")
        assert active is not None
        with pytest.raises(FinopsError, match="key of team web does not decrypt") as error:
            active.reveal()
        assert "finops key rotate web" in error.value.fix

    sql(f"UPDATE api_keys SET {field} = ?", stored)
    active = registry.active_admin_key("web")
    assert active is not None
    assert active.reveal() == key


def test_a_ciphertext_copied_to_another_team_does_not_open(
    registry: Registry, sql: Callable[..., list[tuple[Any, ...]]], key: str, other_key: str
) -> None:
    registry.add_team("web")
    registry.add_team("mobile")
    registry.register_key("web", key)
    registry.register_key("mobile", other_key)
    for field in FIELDS:
        sql(
            f"UPDATE api_keys SET {field} = (SELECT {field} FROM api_keys WHERE team_id = 'web') "
            "WHERE team_id = 'mobile'"
        )

    mobile = registry.active_admin_key("mobile")
    assert mobile is not None
    with pytest.raises(FinopsError, match="key of team mobile does not decrypt"):
        mobile.reveal()


def test_a_key_opens_for_its_own_host_alone(
    settings: Settings, sql: Callable[..., list[tuple[Any, ...]]], key: str
) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")
        registry.register_key("web", key)
    elsewhere = settings.model_copy(update={"openai_base_url": "https://evil.example:8443/v1"})

    def reveal() -> str:
        with open_registry(elsewhere) as registry:
            active = registry.active_admin_key("web")
            assert active is not None
            return active.reveal()

    with pytest.raises(FinopsError, match=r"registered for the API host api\.openai\.com") as error:
        reveal()
    assert "FINOPS_OPENAI_BASE_URL" in error.value.fix
    sql("UPDATE api_keys SET api_host = 'evil.example:8443'")
    with pytest.raises(FinopsError, match="does not decrypt"):
        reveal()


def test_the_host_keeps_its_port() -> None:
    assert envelope.api_host("http://127.0.0.1:8080/v1") == "127.0.0.1:8080"
    assert envelope.api_host("https://API.OpenAI.com/v1") == "api.openai.com"


def test_fingerprints_tell_equal_keys_from_others(key: str, other_key: str) -> None:
    assert envelope.fingerprint(key) != envelope.fingerprint(other_key)
    assert len(envelope.fingerprint(key)) == 32
    # Stable for ever: it is stored, and joins teams that share an organization.
    assert envelope.fingerprint("sk-admin-vector") == "9317636b23425e9d9bd929f8ebe1b1c3"


def test_a_short_key_does_not_show_its_end() -> None:
    assert envelope.last4("sk-admin-abcdefg") == "defg"
    assert envelope.last4("sk-admin-abcdef") == "****"
