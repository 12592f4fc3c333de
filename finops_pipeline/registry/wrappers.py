"""Both kinds of wrapping keys at once: new keys take the configured one, stored ones their own."""

from __future__ import annotations

from collections.abc import Collection

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import key_file, kms
from finops_pipeline.registry.envelope import (
    DataKey,
    KeyContext,
    KeyWrapper,
    UndecryptableError,
)
from finops_pipeline.registry.key_file import LocalKeyFile
from finops_pipeline.registry.kms import AwsKms
from finops_pipeline.settings import Settings


class Wrappers:
    """A :class:`KeyWrapper` of wrappers, which opens no data key once it is closed.

    Args:
        by_prefix: Wrappers by the beginning of their names in ``wrapped_by``.
        configured: The prefix of the one for new data keys.
    """

    def __init__(self, by_prefix: dict[str, KeyWrapper], configured: str) -> None:
        self._by_prefix = by_prefix
        self._configured = by_prefix[configured]
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Wrappers:
        """The local key file, and AWS KMS, which is for new keys too where a key is set."""
        return cls(
            {
                key_file.PREFIX: LocalKeyFile(settings.key_file),
                kms.PREFIX: AwsKms(settings.kms_key_id),
            },
            key_file.PREFIX if settings.kms_key_id is None else kms.PREFIX,
        )

    def prepare(self, in_use: Collection[str]) -> None:
        """See :class:`KeyWrapper`."""
        self._configured.prepare(in_use)

    def new_data_key(self, context: KeyContext) -> DataKey:
        """See :class:`KeyWrapper`."""
        return self._configured.new_data_key(context)

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: KeyContext) -> bytes:
        """See :class:`KeyWrapper`."""
        if self._closed:
            raise FinopsError(
                f"The {context.whose} does not open, because the registry was closed."
            )
        for prefix, wrapper in self._by_prefix.items():
            if wrapped_by.startswith(prefix):
                return wrapper.unwrap(wrapped, wrapped_by, context)
        raise UndecryptableError(
            f"The stored {context.whose} names no wrapping key that this version knows.",
            f"Store the key again with `{context.rotation}`.",
        )

    def close(self) -> None:
        """Forget every data key."""
        self._closed = True
        for wrapper in self._by_prefix.values():
            wrapper.close()
