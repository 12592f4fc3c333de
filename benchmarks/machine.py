"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

LIBRARIES = ("dlt", "duckdb", "httpx", "msgspec", "pyarrow")


def description() -> str:
    """Cores, memory and versions; nothing that tells one machine from its twin."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {gibibytes:.0f} GiB of memory, "
        f"{platform.system()}, Python {platform.python_version()}, {libraries}"
    )
