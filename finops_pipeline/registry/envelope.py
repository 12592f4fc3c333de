"""Envelope encryption of API keys.

Each key is encrypted with AES-256-GCM under a fresh data key of its own, and the data key is
wrapped by a :class:`KeyWrapper`. Team, key type and API host are authenticated with both, so a
ciphertext opens neither in another team's row nor for another host. ``wrapped_by`` names the
wrapping key, so that keys of several can be stored side by side while they are wrapped anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from finops_pipeline.errors import FinopsError

DATA_KEY_BYTES = 32
NONCE_BYTES = 12
"""The nonce length that GCM is specified for (NIST SP 800-38D, section 5.2.1.1)."""

MIN_LENGTH_TO_SHOW = 16
"""Characters of a key from which on its last four are shown: at most a quarter of it."""

_FINGERPRINT_DOMAIN = b"finops-pipeline api key fingerprint v1\x00"


@dataclass(frozen=True)
class KeyContext:
    """What a ciphertext is bound to; not secret, and never stored beside it as the truth.

    ``project_id`` is that of a project key; an admin key has none.
    """

    team_id: str
    key_type: str
    api_host: str
    project_id: str | None = None

    def values(self) -> dict[str, str]:
        """What the context says, by name; also the encryption context of a KMS."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def associated_data(self) -> bytes:
        """The context as canonical JSON: sorted names, no white space, ASCII."""
        return json.dumps(self.values(), sort_keys=True, separators=(",", ":")).encode()

    @property
    def whose(self) -> str:
        """Which key it is, in words."""
        of_project = "" if self.project_id is None else f" for project {self.project_id}"
        return f"{self.key_type} key of team {self.team_id}{of_project}"

    @property
    def rotation(self) -> str:
        """The command that stores another key in its place."""
        project = f" --type project --project {self.project_id}" if self.project_id else ""
        return f"finops key rotate {self.team_id}{project}"


@dataclass(frozen=True)
class DataKey:
    """A fresh data key: to encrypt with, to store, and the name of the key that wraps it."""

    plaintext: bytes = field(repr=False)
    wrapped: bytes
    wrapped_by: str


@dataclass(frozen=True)
class SealedKey:
    """An encrypted API key: everything needed to open it but the wrapping key."""

    encrypted_key: bytes
    encrypted_data_key: bytes
    iv: bytes
    wrapped_by: str


class KeyWrapper(Protocol):
    """Whoever keeps the wrapping key: a local file, or a key management service."""

    def prepare(self, in_use: Collection[str]) -> None:
        """Make the wrapping key ready for new data keys.

        ``in_use`` names the wrapping keys of the active keys: one that is missing among them is a
        loss to report, never one to replace.
        """

    def new_data_key(self, context: KeyContext) -> DataKey:
        """A fresh data key, wrapped and bound to the context.

        Raises:
            FinopsError: the wrapping key is not usable.
        """

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: KeyContext) -> bytes:
        """Decrypt a data key.

        Raises:
            UndecryptableError: changed, or wrapped for another context or by another key.
            FinopsError: the wrapping key is not usable.
        """

    def close(self) -> None:
        """Forget every data key."""


class UndecryptableError(FinopsError):
    """A ciphertext that does not open; the message never says more than whose it is."""


def api_host(base_url: str) -> str:
    """The API's host in lower case, with the port where the address has one."""
    return urlsplit(base_url).netloc.lower()


def fingerprint(key: str) -> str:
    """32 hexadecimal digits by which equal keys are recognised without opening them.

    A plain hash would give away a password, which can be guessed. An API key cannot: it is a long
    random text, so there is nothing to try out, and no salt is needed that would make equal keys
    differ. The prefix keeps the value apart from hashes of the same key made elsewhere.
    """
    return hashlib.sha256(_FINGERPRINT_DOMAIN + key.encode()).hexdigest()[:32]


def last4(key: str) -> str:
    """The end of a key, to tell keys apart by eye; masked where it would be much of the key."""
    return key[-4:] if len(key) >= MIN_LENGTH_TO_SHOW else "****"


def seal(key: str, context: KeyContext, data_key: DataKey) -> SealedKey:
    """Encrypt an API key under a data key that was made for it and for this context."""
    iv = os.urandom(NONCE_BYTES)
    associated = context.associated_data()
    return SealedKey(
        encrypted_key=AESGCM(data_key.plaintext).encrypt(iv, key.encode(), associated),
        encrypted_data_key=data_key.wrapped,
        iv=iv,
        wrapped_by=data_key.wrapped_by,
    )


def unseal(sealed: SealedKey, context: KeyContext, wrapper: KeyWrapper) -> str:
    """Decrypt an API key.

    Raises:
        UndecryptableError: wrapped by another key, changed, or sealed for another context.
        FinopsError: the wrapping key is not usable.
    """
    data_key = wrapper.unwrap(sealed.encrypted_data_key, sealed.wrapped_by, context)
    return decrypt(data_key, sealed.iv, sealed.encrypted_key, context).decode()


def encrypt_with_nonce(key: bytes, plaintext: bytes, context: KeyContext) -> bytes:
    """A random nonce, then the ciphertext and its tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context.associated_data())


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, context: KeyContext) -> bytes:
    """Decrypt and authenticate.

    Raises:
        UndecryptableError: anything about it is not as it was encrypted.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, context.associated_data())
    except (InvalidTag, ValueError):
        raise undecryptable(context) from None


def undecryptable(context: KeyContext) -> UndecryptableError:
    """The error for a ciphertext that is not what was stored in this place."""
    return UndecryptableError(
        f"The stored {context.whose} does not decrypt: it was changed, or stored for another team "
        f"or project or for another API host than {context.api_host}.",
        f"Store the key again with `{context.rotation}`.",
    )
