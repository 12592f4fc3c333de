"""Killed while it rotates or wraps anew: every team always has one active key, which opens."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from finops_pipeline.registry import open_registry
from finops_pipeline.settings import Settings
from tests.registry.conftest import KEY, OTHER_KEY
from tests.registry.kms import Kms, moto_kms, set_up_boto
from tests.registry.postgresql import on_both

TEAMS = ("web", "mobile")
CHANGES = """
import itertools, json, sys
from finops_pipeline.registry import open_registry
from finops_pipeline.settings import ExplicitSettings
known = json.loads(sys.argv[1])
in_file = ExplicitSettings(**known["settings"])
in_kms = in_file.model_copy(update={"kms_key_id": known["kms_key_id"]})
for settings, key in itertools.cycle(zip((in_kms, in_file), known["keys"])):
    with open_registry(settings) as registry:
        for team_id in known["teams"]:
            registry.rotate_key(team_id, key)
            print("rotated", flush=True)
        for status in registry.active_keys():
            registry.rewrap_key(status.key_id)
            print("wrapped", flush=True)
    with open_registry(in_file if settings is in_kms else in_kms) as registry:
        for status in registry.active_keys():
            registry.rewrap_key(status.key_id)
            print("wrapped", flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Kms]:
    with moto_kms() as server:
        yield server


@on_both
@pytest.mark.parametrize(
    "rounds", [3, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_a_kill_leaves_one_usable_key(
    settings: Settings, server: Kms, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    set_up_boto(monkeypatch, server.endpoint)
    chance = random.Random(rounds)
    with open_registry(settings) as registry:
        for team_id in TEAMS:
            registry.add_team(team_id)
            registry.register_key(team_id, KEY)
    told = {
        "settings": settings.model_dump(mode="json", include={"data_dir", "key_file"})
        | {"registry_url": settings.registry_url and settings.registry_url.get_secret_value()},
        "kms_key_id": server.new_key(),
        "keys": [KEY, OTHER_KEY],
        "teams": TEAMS,
    }
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", CHANGES, json.dumps(told)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 12)):
                assert process.stdout.readline()
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
        with open_registry(settings) as registry:
            active = registry.active_keys()
            assert [status.team_id for status in active] == sorted(TEAMS)
            for team_id in TEAMS:
                key = registry.active_admin_key(team_id)
                assert key is not None
                assert key.reveal() in (KEY, OTHER_KEY)
            assert registry.verify_audit().problems == ()
