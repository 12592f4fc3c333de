"""Reading the published marts for a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from finops_pipeline import marts
from finops_pipeline.errors import FinopsError, UsageError
from finops_pipeline.settings import load_settings

if TYPE_CHECKING:
    import duckdb

Row = Mapping[str, object]


@dataclass(frozen=True)
class Build:
    """The build that published them; times and days are UTC."""

    built_at: datetime
    newest_complete_date: date | None

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> Build:
        rows = connection.execute("SELECT built_at, newest_complete_date FROM rpt_build").fetchall()
        if len(rows) != 1:
            raise FinopsError(
                "The published marts carry no build record.", "Publish anew with `finops build`."
            )
        return cls(rows[0][0].astimezone(UTC), rows[0][1])

    @property
    def last_day(self) -> date:
        """The newest day that was over when the build started."""
        return self.built_at.date() - timedelta(days=1)

    def as_of(self) -> str:
        newest = self.newest_complete_date or "none"
        return (
            f"As of the build of {self.built_at:%Y-%m-%d %H:%M} UTC; newest complete day: {newest}."
        )


@contextmanager
def published() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can only read.

    Raises:
        FinopsError: nothing was published yet, or by another version.
    """
    import duckdb

    settings = load_settings()
    with marts.connect(
        settings.marts_path, memory_limit=settings.duckdb_memory_limit
    ) as connection:
        try:
            yield connection
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise FinopsError(
                f"The published marts do not fit this version: {str(error).splitlines()[0]}",
                "Publish them anew with `finops build`.",
            ) from None


def fetched(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]
) -> list[Row]:
    """The answer's rows by the names of their columns."""
    answer = connection.execute(sql, dict(parameters))
    columns = [column[0] for column in answer.description]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def check_known(connection: duckdb.DuckDBPyConnection, wanted: str | None, kind: str) -> None:
    """Make sure that a team or project (``kind``) that was asked for exists.

    Raises:
        UsageError: it does not; names what comes near.
    """
    if wanted is None:
        return
    known = [
        str(name)
        for (name,) in connection.execute(
            f"SELECT {kind}_id FROM dim_{kind}s ORDER BY 1"
        ).fetchall()
    ]
    if wanted not in known:
        raise UsageError(
            f"The published marts know no {kind} {wanted!r}.",
            f"{marts.near_matches(wanted, known)} `finops {kind} list` shows what is registered; "
            "a new one is published by `finops build`.".strip(),
        )
