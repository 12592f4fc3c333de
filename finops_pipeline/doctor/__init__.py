"""Is everything as the daily run needs it? Checks by theme, each with what to do about it.

Nothing is repaired. What is written is the trace of looking: an audit entry for each key that is
decrypted, and Dagster's record of runs whose process has died.
"""

from __future__ import annotations

from finops_pipeline.doctor.check import Check, Status
from finops_pipeline.doctor.rounds import diagnose

__all__ = ["Check", "Status", "diagnose"]
