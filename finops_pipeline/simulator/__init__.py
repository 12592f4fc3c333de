"""A company's OpenAI organizations, simulated on loopback.

It answers the organization API's costs, usage and projects from a seed, so that demonstrations,
tests and measurements need neither network nor key. Days can be restated, the clock set and faults
planted through control endpoints (:class:`Control`); where costs and usage differ is part of the
scenario (:class:`Gap`). Ordinary keys of projects read the same usage from the legacy endpoint.
"""

from __future__ import annotations

from finops_pipeline.simulator.control_client import Control, GapPart, Total
from finops_pipeline.simulator.faults import Fault
from finops_pipeline.simulator.model import PLANTABLE, Cause, EndpointGap, Gap
from finops_pipeline.simulator.restatement import RestatedRow
from finops_pipeline.simulator.scenario import LegacyLimit, Scenario, Wire, load_scenario
from finops_pipeline.simulator.server import SimulatedServer, serve
from finops_pipeline.simulator.simulation import RecordedRequest

__all__ = [
    "PLANTABLE",
    "Cause",
    "Control",
    "EndpointGap",
    "Fault",
    "Gap",
    "GapPart",
    "LegacyLimit",
    "RecordedRequest",
    "RestatedRow",
    "Scenario",
    "SimulatedServer",
    "Total",
    "Wire",
    "load_scenario",
    "serve",
]
