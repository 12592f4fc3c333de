"""What a database says when it does not work, in sentences. None repeats a password."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError

from finops_pipeline.errors import FinopsError

BUSY_TIMEOUT_SECONDS = 10.0

_HELD = (
    "has been held by another process for {seconds:g} seconds.",
    "Run the command again when that process is done.",
)
_SQLITE = {
    ("SQLITE_BUSY",): _HELD,
    ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"): (
        "cannot be written.",
        "Make the file and its folder writable for this user.",
    ),
    ("SQLITE_NOTADB", "SQLITE_CORRUPT"): (
        "is no SQLite database, or is damaged.",
        "Restore it from a backup, or move it away to begin with an empty registry.",
    ),
    ("SQLITE_FULL",): ("cannot be written: no space left.", "Free some disk space."),
}
"""By the beginnings of SQLite's error names (https://www.sqlite.org/rescode.html)."""

_POSTGRESQL = {
    "55P03": _HELD,
    "42501": (
        "does not allow this to its database user.",
        "Connect as the role that may: administrator, collector or reader.",
    ),
}
"""By PostgreSQL's error codes (its manual, appendix A): lock not available, insufficient
privilege."""

_NOT_CONNECTED = (
    "cannot be reached, or refuses the connection.",
    "Is the server up, and are host, database, user and password in FINOPS_REGISTRY_URL right?",
)


class UnusableDatabaseError(FinopsError):
    """The database itself does not do its part: nothing can be recorded in it either."""


def in_words(error: DBAPIError, place: str) -> UnusableDatabaseError:
    """The error of a driver as a sentence about the registry at ``place``."""
    sqlite = getattr(error.orig, "sqlite_errorname", None)
    postgresql = getattr(error.orig, "pgcode", None)
    if sqlite is not None:
        known = next((said for names, said in _SQLITE.items() if sqlite.startswith(names)), None)
    elif postgresql is not None:
        known = _POSTGRESQL.get(postgresql)
    else:
        # PostgreSQL's driver gives no code where it has no connection.
        known = _NOT_CONNECTED if isinstance(error, OperationalError) else None
    problem, fix = known or (
        f"does not answer as expected ({type(error.orig).__name__}).",
        "Check that FINOPS_REGISTRY_URL or FINOPS_DATA_DIR points at it and that it is up.",
    )
    return UnusableDatabaseError(
        f"The registry {place} {problem.format(seconds=BUSY_TIMEOUT_SECONDS)}", fix
    )
