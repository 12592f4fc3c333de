"""Envelope encryption of API keys.

Each key is encrypted with AES-256-GCM under a fresh data key of its own, and the data key is
wrapped by a :class:`KeyWrapper`. Team, key type and API host are authenticated with both, so a
ciphertext opens neither in another team's row nor for another host.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
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
    """What a ciphertext is bound to; not secret, and never stored beside it as the truth."""

    team_id: str
    key_type: str
    api_host: str

    def associated_data(self) -> bytes:
        """The context as canonical JSON: sorted names, no white space, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class SealedKey:
    """An encrypted API key: everything needed to open it but the wrapping key."""

    encrypted_key: bytes
    encrypted_data_key: bytes
    iv: bytes
    wrapped_by: str


class KeyWrapper(Protocol):
    """Whoever keeps the wrapping key: a local file, or a key management service."""

    @property
    def name(self) -> str:
        """Which wrapping key this is, as stored in ``wrapped_by``."""

    def prepare(self, *, keys_depend_on_it: bool) -> None:
        """Make the wrapping key ready for new data keys.

        ``keys_depend_on_it`` says whether active keys are stored already: then a missing wrapping
        key is a loss to report, never one to replace.
        """

    def wrap(self, data_key: bytes, context: KeyContext) -> bytes:
        """Encrypt a data key, bound to the context."""

    def unwrap(self, wrapped: bytes, context: KeyContext) -> bytes:
        """Decrypt a data key.

        Raises:
            UndecryptableError: changed, or wrapped for another context or by another key.
        """


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


def seal(key: str, context: KeyContext, wrapper: KeyWrapper) -> SealedKey:
    """Encrypt an API key under a fresh data key."""
    data_key = AESGCM.generate_key(bit_length=DATA_KEY_BYTES * 8)
    iv = os.urandom(NONCE_BYTES)
    return SealedKey(
        encrypted_key=AESGCM(data_key).encrypt(iv, key.encode(), context.associated_data()),
        encrypted_data_key=wrapper.wrap(data_key, context),
        iv=iv,
        wrapped_by=wrapper.name,
    )


def unseal(sealed: SealedKey, context: KeyContext, wrapper: KeyWrapper) -> str:
    """Decrypt an API key.

    Raises:
        UndecryptableError: wrapped by another key, changed, or sealed for another context.
        FinopsError: the wrapping key is not usable.
    """
    if wrapper.name != sealed.wrapped_by:
        raise UndecryptableError(
            f"The {context.key_type} key of team {context.team_id} was encrypted with the wrapping "
            f"key {sealed.wrapped_by}, but {wrapper.name} is configured.",
            "Point FINOPS_KEY_FILE at the former key file, or store the key again with "
            f"`finops key rotate {context.team_id}`.",
        )
    data_key = wrapper.unwrap(sealed.encrypted_data_key, context)
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
        raise UndecryptableError(
            f"The stored {context.key_type} key of team {context.team_id} does not decrypt: it was "
            f"changed, or stored for another team or for another API host than {context.api_host}.",
            f"Store the key again with `finops key rotate {context.team_id}`.",
        ) from None
