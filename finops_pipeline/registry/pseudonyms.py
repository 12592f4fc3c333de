"""The key of the pseudonyms that stand for OpenAI's users, and which users were erased.

One key for the whole registry, made at first need and stored as API keys are. Whoever loses it
gets new pseudonyms for the same users, so it is replaced only when it is lost.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from finops_pipeline.registry import envelope
from finops_pipeline.registry.audit import Audited, Subject
from finops_pipeline.registry.envelope import (
    DataKey,
    KeyContext,
    KeyWrapper,
    SealedKey,
    UndecryptableError,
)
from finops_pipeline.registry.models import ErasedUserRow, KeyRow, PseudonymKeyRow

_KEY_BYTES = 32
_THE_ROW = 1


@dataclass(frozen=True)
class _PseudonymKeyContext(KeyContext):
    """It belongs to no team and is shown to no API, so it opens for every host."""

    team_id: str = ""
    key_type: str = "pseudonym"
    api_host: str = ""

    def values(self) -> dict[str, str]:
        return {"key_type": self.key_type}

    @property
    def whose(self) -> str:
        return "key of user pseudonyms"

    @property
    def rotation(self) -> str:
        return "finops privacy renew-key"


_CONTEXT = _PseudonymKeyContext()
_NOBODY = Subject()


@dataclass(frozen=True)
class PseudonymKeyStatus:
    """Which wrapping key has it, and whether that is new."""

    wrapped_by: str
    rewrapped: bool


class UserPseudonyms(Audited):
    """The registry's part about pseudonyms. Of users it stores nothing but erased pseudonyms."""

    _wrapper: KeyWrapper

    def pseudonym_key(self) -> bytes:
        """The 32 bytes under which user ids are hashed, made now if there are none yet.

        Given out only once that is on record.

        Raises:
            UndecryptableError: the stored key does not open.
            FinopsError: the wrapping key is lost or not usable.
        """
        with self._attempt("pseudonym_key.decrypt", _NOBODY) as attempt:
            key = self._opened(self._stored() or self._first())
            with attempt.writing() as session:
                attempt.record(session)
        return bytes.fromhex(key)

    def renew_pseudonym_key(self) -> None:
        """Put a new key in the place of a lost one: from now on every user has a new pseudonym.

        Raises:
            FinopsError: the wrapping key is not usable.
        """
        with self._attempt("pseudonym_key.renew", _NOBODY) as attempt:
            sealed = self._new()
            with attempt.writing() as session:
                old = session.get(PseudonymKeyRow, _THE_ROW)
                if old is None:
                    session.add(_row(sealed))
                else:
                    _put(old, sealed)
                attempt.record(session, after={"wrapped_by": sealed.wrapped_by})

    def rewrap_pseudonym_key(self) -> PseudonymKeyStatus | None:
        """Encrypt the key anew under the configured wrapping key; None where there is no key.

        Raises:
            UndecryptableError: the stored key does not open.
            FinopsError: a wrapping key is lost or not usable; the stored key stays as it was.
        """
        stored = self._stored()
        if stored is None:
            return None
        unchanged = PseudonymKeyStatus(stored.wrapped_by, rewrapped=False)
        with self._attempt("pseudonym_key.rewrap", _NOBODY) as attempt:
            data_key = self._new_data_key()
            if data_key.wrapped_by == stored.wrapped_by:
                return unchanged
            self._wrapper.unwrap(data_key.wrapped, data_key.wrapped_by, _CONTEXT)
            sealed = envelope.seal(self._opened(stored), _CONTEXT, data_key)
            with attempt.writing() as session:
                row = session.get_one(PseudonymKeyRow, _THE_ROW)
                if row.iv != stored.iv:
                    return unchanged
                _put(row, sealed)
                attempt.record(
                    session,
                    before={"wrapped_by": stored.wrapped_by},
                    after={"wrapped_by": sealed.wrapped_by},
                )
        return PseudonymKeyStatus(sealed.wrapped_by, rewrapped=True)

    def erased_users(self) -> frozenset[str]:
        """The pseudonyms of erased users."""
        with self._database.reading() as session:
            return frozenset(session.scalars(select(ErasedUserRow.user_pseudonym)))

    def erase_user(self, user_pseudonym: str) -> bool:
        """Remember that nobody may be told who is behind a pseudonym; False if it was so already.

        The audit log names the pseudonym: it keeps what it holds for ever.
        """
        with self._attempt("user.erase", _NOBODY) as attempt, attempt.writing() as session:
            known = session.get(ErasedUserRow, user_pseudonym)
            if known is None:
                row = ErasedUserRow(user_pseudonym=user_pseudonym, erased_at=datetime.now(UTC))
                session.add(row)
            attempt.record(session, after={"user_pseudonym": user_pseudonym})
        return known is None

    def record_user_shown(self, user_pseudonym: str) -> None:
        """Put on record that somebody looks up who is behind a pseudonym."""
        with self._attempt("user.show", _NOBODY) as attempt, attempt.writing() as session:
            attempt.record(session, after={"user_pseudonym": user_pseudonym})

    def _stored(self) -> SealedKey | None:
        with self._database.reading() as session:
            row = session.get(PseudonymKeyRow, _THE_ROW)
            return None if row is None else _sealed(row)

    def _first(self) -> SealedKey:
        """A new key, stored; or the one that another process has stored meanwhile."""
        with self._attempt("pseudonym_key.create", _NOBODY) as attempt:
            sealed = self._new()
            with attempt.writing() as session:
                row = session.get(PseudonymKeyRow, _THE_ROW)
                if row is not None:
                    return _sealed(row)
                session.add(_row(sealed))
                attempt.record(session, after={"wrapped_by": sealed.wrapped_by})
            return sealed

    def _new(self) -> SealedKey:
        return envelope.seal(os.urandom(_KEY_BYTES).hex(), _CONTEXT, self._new_data_key())

    def _new_data_key(self) -> DataKey:
        with self._database.reading() as session:
            in_use = select(KeyRow.wrapped_by).where(KeyRow.is_active).distinct()
            self._wrapper.prepare(session.scalars(in_use).all())
        return self._wrapper.new_data_key(_CONTEXT)

    def _opened(self, sealed: SealedKey) -> str:
        try:
            return envelope.unseal(sealed, _CONTEXT, self._wrapper)
        except UndecryptableError:
            raise UndecryptableError(
                f"The {_CONTEXT.whose} does not open: it was changed, or encrypted with another "
                f"wrapping key than the one at hand ({sealed.wrapped_by} is needed).",
                "Restore that wrapping key. If it is gone for good, `finops privacy renew-key` "
                "begins anew, with other pseudonyms for everybody.",
            ) from None


def _sealed(row: PseudonymKeyRow) -> SealedKey:
    return SealedKey(row.encrypted_key, row.encrypted_data_key, row.iv, row.wrapped_by)


def _row(sealed: SealedKey) -> PseudonymKeyRow:
    now = datetime.now(UTC)
    return PseudonymKeyRow(
        pseudonym_key_id=_THE_ROW, created_at=now, updated_at=now, **asdict(sealed)
    )


def _put(row: PseudonymKeyRow, sealed: SealedKey) -> None:
    for name, value in asdict(sealed).items():
        setattr(row, name, value)
    row.updated_at = datetime.now(UTC)
