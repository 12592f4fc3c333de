"""Which statements of others may run on the published marts: one SELECT, of harmless functions.

DuckDB's own locks leave gaps, each tried on 1.5.5 with external access off and the configuration
locked: ``COPY … TO`` writes the attached file and its write-ahead log, ``EXPLAIN ANALYZE COPY``
likewise, and ``SELECT * FROM enable_logging(…)`` changes settings. So the kind of statement is
checked, and each table function that its plan would call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from finops_pipeline.errors import FinopsError, UsageError

if TYPE_CHECKING:
    import duckdb

# As plans name them. Whatever is not here is refused, so that a function of a later DuckDB
# version is refused as well.
_HARMLESS_FUNCTIONS = frozenset(
    {
        "DUCKDB_COLUMNS",
        "DUCKDB_CONSTRAINTS",
        "DUCKDB_DATABASES",
        "DUCKDB_FUNCTIONS",
        "DUCKDB_INDEXES",
        "DUCKDB_KEYWORDS",
        "DUCKDB_SCHEMAS",
        "DUCKDB_TABLES",
        "DUCKDB_TYPES",
        "DUCKDB_VIEWS",
        "GENERATE_SERIES",
        "ICU_CALENDAR_NAMES",
        "JSON_EACH",
        "JSON_TREE",
        "PG_TIMEZONE_NAMES",
        "PRAGMA_COLLATIONS",
        "PRAGMA_SHOW",
        "PRAGMA_STORAGE_INFO",
        "PRAGMA_TABLE_INFO",
        "PRAGMA_VERSION",
        "RANGE",
        "REPEAT",
        "REPEAT_ROW",
        "UNNEST",
    }
)

_ONE_SELECT = "Give one SELECT (or FROM, WITH, VALUES, SHOW TABLES, DESCRIBE, SUMMARIZE)."


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The one statement in ``sql``, once it is known that it only reads the marts.

    Raises:
        UsageError: it is no single SELECT, calls a function that does more than read, or is wrong.
    """
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise explained(error) from None
    select = duckdb.StatementType.SELECT
    if not statements:
        raise UsageError("The statement is empty.", _ONE_SELECT)
    # A PIVOT over values that are yet to be found is a CREATE TYPE, without text, and a SELECT.
    if len(statements) > 1 and not statements[0].query and statements[-1].type == select:
        raise UsageError(
            "A PIVOT must list its values here.", "Write PIVOT … ON column IN ('a', 'b') USING …"
        )
    if len(statements) > 1:
        raise UsageError(f"There are {len(statements)} statements; one is allowed.", _ONE_SELECT)
    statement = statements[0]
    if statement.type != select:
        raise UsageError(
            f"{statement.type.name} is not allowed: the published marts are only read.",
            _ONE_SELECT,
        )
    _check_functions(connection, statement.query)
    return statement.query


def explained(error: Exception) -> FinopsError:
    """DuckDB's error as one line, its suggestions included."""
    import duckdb

    # What follows repeats the statement, with a mark below it.
    what = " ".join(str(error).partition("\n\nLINE ")[0].partition("\n\nStack Trace:")[0].split())
    if isinstance(error, duckdb.OutOfMemoryException):
        return FinopsError(
            "The statement needs more memory than it may use.",
            "Narrow it down, or raise FINOPS_DUCKDB_MEMORY_LIMIT.",
        )
    if isinstance(error, duckdb.PermissionException):
        return UsageError(what, "A statement reaches the published marts and no other file.")
    if isinstance(error, duckdb.CatalogException) and what.startswith("Catalog Error: Table with"):
        return UsageError(what, "SHOW TABLES lists the published tables.")
    return UsageError(what)


def _check_functions(connection: duckdb.DuckDBPyConnection, select: str) -> None:
    import duckdb

    try:
        answer = connection.execute(f"EXPLAIN (FORMAT json) {select}").fetchall()
    except duckdb.Error as error:
        raise explained(error) from None
    plan: list[dict[str, Any]] = [node for _, text in answer for node in json.loads(text)]
    while plan:
        node = plan.pop()
        plan.extend(node["children"])
        function = node["extra_info"].get("Function")
        if function is not None and function not in _HARMLESS_FUNCTIONS:
            raise UsageError(
                f"The function {function.lower()} is not allowed: it does more than read the "
                "published marts.",
                "Use the tables alone; SHOW TABLES lists them.",
            )
