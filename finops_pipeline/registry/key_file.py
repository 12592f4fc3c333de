"""The wrapping key in a local file: 32 random bytes that only their owner may read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry.envelope import (
    DATA_KEY_BYTES,
    NONCE_BYTES,
    DataKey,
    KeyContext,
    UndecryptableError,
    decrypt,
    encrypt_with_nonce,
)

PREFIX = "local:"
"""Begins ``wrapped_by``; 8 hexadecimal digits follow."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class LocalKeyFile:
    """Wraps data keys with AES-256-GCM under the key in a file (FINOPS_KEY_FILE).

    The file is read at each use and its content never kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self, in_use: Collection[str]) -> None:
        """Create the file unless it is there.

        Raises:
            FinopsError: it is lost while keys depend on it, or cannot be created.
        """
        try:
            if self.path.exists():
                return
            if any(name.startswith(PREFIX) for name in in_use):
                raise self._lost()
            self._create()
        except OSError as error:
            raise FinopsError(
                f"The key file {self.path} cannot be created: {error.strerror}.",
                "Make its folder writable, or point FINOPS_KEY_FILE at another place.",
            ) from None

    def new_data_key(self, context: KeyContext) -> DataKey:
        """A fresh data key; wrapped, it is a nonce, then the ciphertext and its tag."""
        wrapping_key = self._read()
        plaintext = AESGCM.generate_key(bit_length=DATA_KEY_BYTES * 8)
        wrapped = encrypt_with_nonce(wrapping_key, plaintext, context)
        return DataKey(plaintext, wrapped, _name(wrapping_key))

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: KeyContext) -> bytes:
        """Decrypt a data key (see :class:`~finops_pipeline.registry.envelope.KeyWrapper`)."""
        wrapping_key = self._read()
        name = _name(wrapping_key)
        if name != wrapped_by:
            raise UndecryptableError(
                f"The {context.whose} was encrypted with the wrapping key {wrapped_by}, but the "
                f"key file {self.path} holds {name}.",
                "Point FINOPS_KEY_FILE at the former key file, or store the key again with "
                f"`{context.rotation}`.",
            )
        return decrypt(wrapping_key, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)

    def close(self) -> None:
        """Nothing is kept, so there is nothing to forget."""

    def _create(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written aside and linked into place: the link is refused where a file already is, as
        # O_EXCL would, and nobody can see half a key, not even after a crash.
        aside = self.path.with_name(f"{self.path.name}.{uuid4().hex}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(DATA_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first: its key is the one
                os.link(aside, self.path)
        finally:
            aside.unlink()

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                key = file.read(DATA_KEY_BYTES + 1)
        except FileNotFoundError:
            raise self._lost() from None
        except OSError as error:
            raise FinopsError(
                f"The key file {self.path} cannot be read: {error.strerror}.",
                "Run as the user who owns it, or point FINOPS_KEY_FILE at the right file.",
            ) from None
        if mode & _OTHERS:
            raise FinopsError(
                f"The key file {self.path} is open to other users (mode {stat.S_IMODE(mode):04o}).",
                f"Run `chmod 600 {self.path}`.",
            )
        if len(key) != DATA_KEY_BYTES:
            raise FinopsError(
                f"The key file {self.path} does not hold the {DATA_KEY_BYTES} bytes of a key.",
                "Restore it from its backup, or point FINOPS_KEY_FILE at the right file.",
            )
        return key

    def _lost(self) -> FinopsError:
        return FinopsError(
            f"The key file {self.path} is missing, and without it the stored API keys do not open.",
            "Restore it from its backup, or point FINOPS_KEY_FILE at it; if it is gone for good, "
            "end every stored key with `finops key deactivate`, also those of single projects, and "
            "register the keys again.",
        )


def _name(wrapping_key: bytes) -> str:
    """What ``wrapped_by`` says: enough of the key's SHA-256 to notice another file."""
    return f"{PREFIX}{hashlib.sha256(wrapping_key).hexdigest()[:8]}"
