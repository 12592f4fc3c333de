"""The wrapping key in a local file: 32 random bytes that only their owner may read."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry.envelope import (
    DATA_KEY_BYTES,
    NONCE_BYTES,
    KeyContext,
    decrypt,
    encrypt_with_nonce,
)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class LocalKeyFile:
    """Wraps data keys with AES-256-GCM under the key in a file (FINOPS_KEY_FILE).

    The file is read at each use and its content never kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """``local:`` and 8 hexadecimal digits of the key's SHA-256, to notice another file."""
        return f"local:{hashlib.sha256(self._read()).hexdigest()[:8]}"

    def prepare(self, *, keys_depend_on_it: bool) -> None:
        """Create the file unless it is there.

        Raises:
            FinopsError: it is lost while keys depend on it, or cannot be created.
        """
        try:
            if self.path.exists():
                return
            if keys_depend_on_it:
                raise self._lost()
            self._create()
        except OSError as error:
            raise FinopsError(
                f"The key file {self.path} cannot be created: {error.strerror}.",
                "Make its folder writable, or point FINOPS_KEY_FILE at another place.",
            ) from None

    def wrap(self, data_key: bytes, context: KeyContext) -> bytes:
        """The nonce, then the encrypted data key and its tag."""
        return encrypt_with_nonce(self._read(), data_key, context)

    def unwrap(self, wrapped: bytes, context: KeyContext) -> bytes:
        """Decrypt a data key (see :class:`~finops_pipeline.registry.envelope.KeyWrapper`)."""
        return decrypt(self._read(), wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)

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
            "run `finops key deactivate TEAM` for every team that has a key, and register the keys "
            "again.",
        )
