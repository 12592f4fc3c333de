"""A simulated OpenAI for commands that try keys out: two busy organizations and an idle one."""

from __future__ import annotations

from datetime import UTC, date, datetime

from finops_pipeline.simulator import Scenario
from finops_pipeline.simulator.model import (
    RestrictedKey,
    SimulatedOrganization,
    SimulatedProject,
)

SECRET = "sk-admin-Q2xpVGVzdEtleU9ubHlGb3JUZXN0czEyMzQ1Ng"
OTHER = "sk-admin-U2Vjb25kS2V5Rm9yVGhlQ2xpVGVzdHM5ODc2NTQ"
STRANGER = "sk-admin-S2V5T2ZBbm90aGVyT3JnYW5pemF0aW9uMTIzNDU"
IDLE = "sk-admin-S2V5T2ZBbklkbGVPcmdhbml6YXRpb245OTk5OTk"
COSTS_ONLY = "sk-admin-Q29zdHNPbmx5S2V5Rm9yVGhlVGVzdHMxMjM0NQ"
LISTS_ONLY = "sk-admin-TGlzdHNPbmx5S2V5Rm9yVGhlVGVzdHMxMjM0NQ"
PROXY = "an-unusual-key-of-a-proxy"
SITE = "proj_S1teS1teS1teS1teS1teS1te"
MODEL = "gpt-4o-mini-2024-07-18"

SCENARIO = Scenario(
    start=date(2026, 2, 1),
    now=datetime(2026, 3, 10, 9, tzinfo=UTC),
    organizations=(
        SimulatedOrganization(
            id="org-own",
            name="Own",
            admin_keys=[SECRET, OTHER, PROXY],
            restricted_keys=(
                RestrictedKey(key=COSTS_ONLY, scopes=("api.usage.read",)),
                RestrictedKey(key=LISTS_ONLY, scopes=("api.management.read",)),
            ),
            projects=(SimulatedProject(id=SITE, name="Site", uses=(MODEL,)),),
        ),
        SimulatedOrganization(
            id="org-strange",
            name="Strange",
            admin_keys=[STRANGER],
            projects=(SimulatedProject(id="proj_elsewhere", uses=(MODEL,)),),
        ),
        SimulatedOrganization(id="org-idle", name="Idle", admin_keys=[IDLE]),
    ),
)
