"""The wrapping key in AWS KMS: it never leaves there, and each use of it is a call.

Region, endpoint and credentials come from boto3's own configuration. Team, key type and API host
are the encryption context, so that the key's policy can be about them and CloudTrail shows them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry.envelope import DataKey, KeyContext, undecryptable

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from types_boto3_kms import KMSClient

PREFIX = "kms:"
"""Begins ``wrapped_by``; the key's ARN follows."""

RETRIES = 3
CONNECT_SECONDS = 5
READ_SECONDS = 10

Answer = TypeVar("Answer")

# They write whole answers into their debug logs, data keys and session tokens among them.
_TALKATIVE = ("boto3", "botocore")

_NOT_THIS_CIPHERTEXT = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_BUSY = frozenset({"ThrottlingException", "LimitExceededException", "RequestLimitExceeded"})
_STRANGERS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_PERMISSIONS = (
    "Allow kms:GenerateDataKey and kms:Decrypt on it, both in the policy of the role or user that "
    "calls and in the key's own policy."
)
_CREDENTIALS = "Give boto3 valid credentials: a role, a profile, or AWS_ACCESS_KEY_ID and the like."


class AwsKms:
    """Wraps data keys with a KMS key (FINOPS_KMS_KEY_ID); usable from several threads.

    Data keys that were unwrapped are kept until it is closed: a collection asks once for each key.

    Args:
        key_id: The key of new data keys: id, ARN or alias. Without one, stored keys still open.
    """

    def __init__(self, key_id: str | None) -> None:
        self._key_id = key_id
        self._lock = Lock()
        self._client: KMSClient | None = None
        self._unwrapped: dict[tuple[bytes, str, KeyContext], bytes] = {}

    def prepare(self, in_use: Collection[str]) -> None:
        """Nothing to make: the key is made in KMS."""

    def new_data_key(self, context: KeyContext) -> DataKey:
        """A fresh data key of 256 bits (GenerateDataKey)."""
        key_id = self._key_id
        assert key_id is not None, "no KMS key is configured"

        def make(client: KMSClient) -> DataKey:
            made = client.generate_data_key(
                KeyId=key_id, KeySpec="AES_256", EncryptionContext=context.values()
            )
            return DataKey(made["Plaintext"], made["CiphertextBlob"], f"{PREFIX}{made['KeyId']}")

        return self._call("GenerateDataKey", key_id, context, make)

    def unwrap(self, wrapped: bytes, wrapped_by: str, context: KeyContext) -> bytes:
        """Decrypt a data key with the KMS key that ``wrapped_by`` names (Decrypt)."""
        key_id = wrapped_by.removeprefix(PREFIX)

        def open_it(client: KMSClient) -> tuple[bytes, str]:
            opened = client.decrypt(
                KeyId=key_id, CiphertextBlob=wrapped, EncryptionContext=context.values()
            )
            return opened["Plaintext"], opened["KeyId"]

        place = (wrapped, wrapped_by, context)
        if place not in self._unwrapped:
            data_key, used = self._call("Decrypt", key_id, context, open_it)
            if used != key_id:
                raise undecryptable(context)
            self._unwrapped[place] = data_key
        return self._unwrapped[place]

    def close(self) -> None:
        """Forget every data key and close the connections."""
        with self._lock:
            self._unwrapped.clear()
            if self._client is not None:
                self._client.close()
                self._client = None

    def _call(
        self,
        action: str,
        key_id: str,
        context: KeyContext,
        send: Callable[[KMSClient], Answer],
    ) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return send(self._connected())
        except ClientError as error:
            failure = _refused(error, action, key_id, context)
        except (BotoCoreError, KeyError, ValueError) as error:
            failure = _failed(error, action, context)
        # Outside the except block: an answer that could not be read is part of botocore's errors.
        raise failure

    def _connected(self) -> KMSClient:
        with self._lock:
            if self._client is None:
                from boto3.session import Session
                from botocore.config import Config

                for name in _TALKATIVE:
                    logging.getLogger(name).setLevel(logging.WARNING)
                    logging.getLogger(name).propagate = False
                self._client = Session().client(
                    "kms",
                    config=Config(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=READ_SECONDS,
                        retries={"total_max_attempts": 1 + RETRIES, "mode": "standard"},
                    ),
                )
            return self._client


def _refused(error: ClientError, action: str, key_id: str, context: KeyContext) -> FinopsError:
    """What an answer of KMS means (its API reference, "Errors" of both actions)."""
    code = error.response.get("Error", {}).get("Code", "")
    if code in _NOT_THIS_CIPHERTEXT:
        return undecryptable(context)
    if code in _STRANGERS:
        what, fix = f"does not accept the AWS credentials ({code})", _CREDENTIALS
    elif code.startswith("AccessDenied"):
        what = f"denies kms:{action} with the key {key_id}: permissions or key policy"
        fix = _PERMISSIONS
    elif code == "NotFoundException":
        what = f"has no key {key_id} in this account and region"
        fix = "Correct FINOPS_KMS_KEY_ID, or the region that boto3 is given."
    elif code == "DisabledException":
        what, fix = f"has disabled the key {key_id}", "Enable it again in AWS KMS."
    elif code == "KMSInvalidStateException":
        what = f"does not use the key {key_id}: it is waiting to be deleted, or not ready"
        fix = "Cancel the deletion and enable the key in AWS KMS."
    elif code in {"InvalidKeyUsageException", "ValidationException", "InvalidArnException"}:
        what = f"cannot use the key {key_id} for this ({code})"
        fix = "FINOPS_KMS_KEY_ID takes the id, ARN or alias of a symmetric encryption key."
    elif code in _BUSY:
        what = f"takes no more requests for now ({code}), also after {RETRIES} further tries"
        fix = "Run it again in a minute; if it stays, raise the quota of KMS requests."
    else:
        what = f"answered kms:{action} with an error ({code or 'without a code'})"
        fix = "Run it again later; if it stays, look into the health page of AWS KMS."
    return FinopsError(f"AWS KMS {what}. It was asked for the {context.whose}.", fix)


def _failed(error: Exception, action: str, context: KeyContext) -> FinopsError:
    """What kept an answer of KMS from arriving, or from being read."""
    from botocore import exceptions

    if isinstance(error, exceptions.NoRegionError):
        what = "AWS KMS cannot be asked: no region is set"
        fix = "Set AWS_DEFAULT_REGION, or the region of the profile in use."
    elif isinstance(error, exceptions.NoCredentialsError):
        what, fix = "AWS KMS cannot be asked: there are no AWS credentials", _CREDENTIALS
    elif isinstance(
        error,
        exceptions.CredentialRetrievalError
        | exceptions.PartialCredentialsError
        | exceptions.ProfileNotFound
        | exceptions.SSOError
        | exceptions.TokenRetrievalError,
    ):
        name = type(error).__name__
        what, fix = f"AWS KMS cannot be asked: the credentials are no use ({name})", _CREDENTIALS
    elif isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        what = f"AWS KMS cannot be reached ({type(error).__name__}), tried {1 + RETRIES} times"
        fix = "Check the network, and the region and endpoint that boto3 is given."
    else:
        # A KeyError is an answer without what it should hold, a ValueError no usable address.
        what = f"Asking AWS KMS for kms:{action} failed ({type(error).__name__})"
        fix = "Check boto3's configuration: AWS_* variables and the files in ~/.aws."
    return FinopsError(f"{what}. It was asked for the {context.whose}.", fix)
