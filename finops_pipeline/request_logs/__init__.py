"""Request logs: the schema of a line, and files of lines. No database, no Dagster."""

from finops_pipeline.request_logs.files import (
    SUFFIXES,
    LogFile,
    Seen,
    log_files,
    look_at,
    name_of,
    opened,
)
from finops_pipeline.request_logs.line import RequestLine
from finops_pipeline.request_logs.lines import LONGEST_LINE, UnreadableFileError
from finops_pipeline.request_logs.parsing import (
    LINE_COLUMNS,
    REQUEST_COLUMNS,
    SHOWN_LINES,
    Parsed,
    Rejection,
)

__all__ = [
    "LINE_COLUMNS",
    "LONGEST_LINE",
    "REQUEST_COLUMNS",
    "SHOWN_LINES",
    "SUFFIXES",
    "LogFile",
    "Parsed",
    "Rejection",
    "RequestLine",
    "Seen",
    "UnreadableFileError",
    "log_files",
    "look_at",
    "name_of",
    "opened",
]
