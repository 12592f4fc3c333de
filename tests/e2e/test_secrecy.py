"""No secret is in anything that a run leaves, whether it succeeds, fails or crashes.

Everything logs at debug level. Looked at are all files below the site's folder (data directory,
Dagster's home, temporary directory and HOME, also while the run goes on), what it prints, and the
environment of each process for API keys. The database's password and the cloud's credentials are
settings that the processes are given by environment, so they are looked for everywhere else.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from finops_pipeline.registry import open_registry
from finops_pipeline.settings import Settings
from finops_pipeline.simulator import Scenario, SimulatedServer
from finops_pipeline.simulator.faults import Fault
from tests.e2e.conftest import FINOPS, PATIENCE, PROJECT, Site
from tests.e2e.traces import Search
from tests.registry.kms import Kms, moto_kms, scripted_kms, set_up_boto
from tests.registry.postgresql import running_server

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient

pytestmark = pytest.mark.slow

SCENARIO = Scenario.demo(start=date(2026, 3, 1), now=datetime(2026, 4, 15, 9, tzinfo=UTC))
KEYS = {team.team_id: team.admin_key for team in SCENARIO.registration.teams}
PROJECT_KEY = "sk-proj-J4vXr8TqLz2WmY6cNb9KsHd5GfPa3RtEu7"
NEW_KEY = "sk-admin-q8ZtWv3yLm5RxJc2NbHs7KfGd4PaTe9Uu0Xi"
DATABASE_PASSWORD = "Tq7vYz2RkXw9Lm4JdNs8"
CLOUD = {
    "AWS_ACCESS_KEY_ID": "AKIAQ7WZ3XN5TRVB2KLM",
    "AWS_SECRET_ACCESS_KEY": "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",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEJr3kT9wQ7yLmZ5xVb2NcHs8KfGd4PaRe",
}
RUN = (FINOPS, "--debug", "run", "--from", "2026-03-01", "--to", "2026-03-02")

COLLECT = """
import os, sys
from datetime import date

from finops_pipeline.orchestration import Pipeline
from finops_pipeline.orchestration.instance import open_instance
from finops_pipeline.orchestration.run import DateRange, Runner
from finops_pipeline.settings import load_settings

settings = load_settings()
with open_instance(settings) as instance:
    runner = Runner(Pipeline.from_settings(settings), instance, console_level="DEBUG")
    for kms in [None, *sys.argv[1:]]:
        if kms is not None:
            os.environ["AWS_ENDPOINT_URL_KMS"] = kms
        collection = runner.collect(DateRange(date(2026, 3, 1), date(2026, 3, 2)))
        print(collection.failed_teams)
"""
"""The first half of ``finops run``, for what fails there: a build would take most of the time.

Once more for each KMS that is given as an argument.
"""

AT_DEBUG_LEVEL = """
import logging, sys

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logging.debug("debug level")
"""
"""Runs before anything else in each Python process."""

CRASH_IN_RESEARCH = """
import httpx

stream = httpx.Client.stream

def crash(*arguments, auth, **options):
    if auth.key == {key!r}:
        raise RuntimeError("unforeseen, and with the key in it: " + auth.key)
    return stream(*arguments, auth=auth, **options)

httpx.Client.stream = crash
"""

CRASH_IN_STORING = """
import sqlalchemy.orm

def crash(session, *_):
    raise RuntimeError("unforeseen")

sqlalchemy.orm.Session.flush = crash
"""

LOG_THE_KEY = """
from finops_pipeline.registry.records import TeamKey

reveal = TeamKey.reveal

def indiscreet(key):
    revealed = reveal(key)
    logging.getLogger("finops_pipeline.ingestion").debug("the key is %s", revealed)
    return revealed

TeamKey.reveal = indiscreet
"""


@dataclass
class Watch:
    """Commands of one site and what they left.

    Attributes:
        variables: Settings beyond the site's own.
        keys: The API keys among the secrets, which are in no process's environment.
        printed: What the newest command printed.
        watched: How many environments of processes were looked at.
    """

    site: Site
    search: Search
    keys: Search
    variables: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    watched: int = 0

    @property
    def folder(self) -> Path:
        return self.site.folder

    def run(self, *command: str | Path, hook: str = "", **variables: str) -> int:
        """Run a command to its end, look at all it left, and return its exit code."""
        hooks = self.folder.with_name("hooks")
        hooks.mkdir(exist_ok=True)
        (hooks / "sitecustomize.py").write_text(AT_DEBUG_LEVEL + hook)
        log = self.folder / "output.log"
        environment: dict[str, Any] = {
            **self.variables,
            **variables,
            **_places(self.folder),
            "PYTHONPATH": str(hooks),
        }
        with log.open("wb") as output:
            process = self.site.start(*command, output=output, **environment)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            self._look_on(process, ignored=variables)
            time.sleep(0.2)
        self.printed = log.read_text()
        assert "DEBUG:root:debug level" in self.printed
        self.search.folders(self.folder)
        return process.returncode

    def _look_on(self, process: subprocess.Popen[bytes], ignored: dict[str, str]) -> None:
        self.search.folders(self.folder / "tmp", self.site.settings.data_dir / "tmp")
        try:
            root = psutil.Process(process.pid)
            for member in [root, *root.children(recursive=True)]:
                environment = member.environ()
                self.watched += 1
                # What a command was given by --from-env is its caller's decision.
                if member == root:
                    environment = {**environment, **dict.fromkeys(ignored, "")}
                self.keys.text(f"environment of {member.name()}", "\n".join(environment.values()))
        except psutil.Error:
            return


def _places(folder: Path) -> dict[str, str]:
    """Own places for whatever is written beside the data, and debug level for those who ask."""
    home = folder / "home"
    for path in (home, folder / "tmp"):
        path.mkdir(exist_ok=True)
    dagster_home = folder / "dagster"
    if not dagster_home.exists():
        dagster_home.mkdir()
        shipped = (PROJECT / "dagster.yaml").read_text()
        every_logger = shipped.replace("- finops_pipeline", "- root").replace("INFO", "DEBUG")
        assert every_logger.count("root") == 1
        (dagster_home / "dagster.yaml").write_text(every_logger)
    return {
        "HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
        "DAGSTER_HOME": str(dagster_home),
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "DBT_LOG_LEVEL": "debug",
        "DBT_LOG_LEVEL_FILE": "debug",
    }


@pytest.fixture(scope="module")
def company() -> Iterator[SimulatedServer]:
    with SimulatedServer(SCENARIO) as server:
        yield server


@pytest.fixture(scope="module")
def registry_url() -> Iterator[str]:
    """The URL of a migrated registry on a server that asks for the password in it."""
    with running_server() as server:
        server.run("CREATE ROLE secured_owner SUPERUSER LOGIN PASSWORD %s", DATABASE_PASSWORD)
        url = server.url(server.migrated(), "secured_owner", DATABASE_PASSWORD)
        yield url.get_secret_value()


@pytest.fixture(scope="module")
def kms() -> Iterator[Kms]:
    with moto_kms() as running:
        yield running


@pytest.fixture(scope="module")
def watch(
    company: SimulatedServer,
    registry_url: str,
    kms: Kms,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watch]:
    """A site whose registry is on a server and whose keys are wrapped by KMS."""
    site = Site(tmp_path_factory.mktemp("secrecy") / "site", company)
    site.folder.mkdir()
    settings = site.settings.model_copy(
        update={"registry_url": SecretStr(registry_url), "kms_key_id": kms.new_key()}
    )
    with pytest.MonkeyPatch.context() as patch:
        set_up_boto(patch, kms.endpoint)
        cloud = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        _register(settings)
    secrets = {f"key of {team}": key for team, key in KEYS.items()}
    secrets |= {"new key": NEW_KEY, "project key": PROJECT_KEY}
    search = Search(
        secrets
        | _data_keys(registry_url, kms.client)
        | {"database password": DATABASE_PASSWORD}
        | {name: CLOUD[name] for name in CLOUD if name != "AWS_ACCESS_KEY_ID"}
    )
    yield Watch(
        site,
        search,
        Search(secrets),
        variables={
            **cloud,
            **CLOUD,
            "FINOPS_REGISTRY_URL": registry_url,
            "FINOPS_KMS_KEY_ID": str(settings.kms_key_id),
        },
    )
    company.control.reset()


def _register(settings: Settings) -> None:
    with open_registry(settings) as registry:
        for team_id, key in KEYS.items():
            registry.add_team(team_id)
            registry.register_key(team_id, key)
        registry.add_project("answers", team_id="search", openai_project_id="proj_answers")
        registry.register_key("search", PROJECT_KEY, project_id="answers")


def _data_keys(registry_url: str, kms_client: KMSClient) -> dict[str, str]:
    """The plaintext of each stored key's data key, as botocore's debug log would write it."""
    engine = create_engine(make_url(registry_url).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM api_keys")).mappings().all()
    engine.dispose()
    contexts = ("team_id", "key_type", "api_host", "project_id")
    return {
        f"data key of {row['key_id']}": base64.b64encode(
            kms_client.decrypt(
                CiphertextBlob=bytes(row["encrypted_data_key"]),
                EncryptionContext={name: row[name] for name in contexts if row[name]},
            )["Plaintext"]
        ).decode()
        for row in rows
    }


def test_a_run_that_succeeds_leaves_no_secret(watch: Watch) -> None:
    assert watch.run(*RUN) == 0, watch.printed
    assert watch.watched > 0
    assert watch.site.settings.marts_path.exists()
    assert watch.search.found == watch.keys.found == set()


def test_runs_that_fail_and_crash_leave_no_secret(watch: Watch, company: SimulatedServer) -> None:
    company.control.plant_fault(
        Fault(
            kind="status",
            key=KEYS["search"],
            status=401,
            code="invalid_api_key",
            message=f"Incorrect API key provided: {KEYS['search']}.",
        )
    )
    # An answer that is broken and is not asked for again, which would take its time.
    company.control.plant_fault(Fault(kind="missing_data", key=KEYS["support"], endpoint="costs"))
    crash = CRASH_IN_RESEARCH.format(key=KEYS["research"])
    with scripted_kms() as denying:
        denying.refuse("AccessDeniedException", times=20)
        command = (sys.executable, "-c", COLLECT, denying.endpoint)
        assert watch.run(*command, hook=crash) == 0, watch.printed
    company.control.clear_faults()

    assert "OpenAI does not accept the key" in watch.printed
    assert "is not a page of buckets" in watch.printed
    assert "broke off with RuntimeError:\n  File" in watch.printed
    assert "AWS KMS denies kms:Decrypt" in watch.printed
    assert watch.search.found == watch.keys.found == set()


def test_a_crash_while_a_key_is_stored_leaves_no_secret(watch: Watch) -> None:
    code = watch.run(
        *(FINOPS, "--debug", "key", "rotate", "search", "--from-env", "NEW_KEY"),
        hook=CRASH_IN_STORING,
        NEW_KEY=NEW_KEY,
    )
    assert code == 1
    assert "Traceback (most recent call last)" in watch.printed
    assert "RuntimeError: unforeseen" in watch.printed
    assert watch.search.found == watch.keys.found == set()


@pytest.mark.parametrize("debug", ["--debug", "--json"])
def test_a_database_that_does_not_answer_is_named_without_its_password(
    watch: Watch, debug: str
) -> None:
    url = f"postgresql+psycopg2://finops:{DATABASE_PASSWORD}@127.0.0.1:1/registry"
    assert watch.run(FINOPS, "team", "list", debug, FINOPS_REGISTRY_URL=url) == 1
    assert "The registry on 127.0.0.1 cannot be reached" in watch.printed
    assert watch.search.found == set()


def test_a_log_line_with_the_key_would_be_found(company: SimulatedServer, tmp_path: Path) -> None:
    """The same search over a program that logs the key: printed, and in Dagster's own record."""
    site = Site(tmp_path / "site", company)
    site.folder.mkdir()
    with open_registry(site.settings) as registry:
        registry.add_team("search")
        registry.register_key("search", KEYS["search"])
    secrets = {"key": KEYS["search"]}
    watch = Watch(site, Search(secrets), Search(secrets), variables={"PLANTED": KEYS["search"]})
    assert watch.run(sys.executable, "-c", COLLECT, hook=LOG_THE_KEY) == 0, watch.printed
    places = {place for _, place in watch.search.found}
    assert "site/output.log" in places
    assert any(place.startswith("site/dagster/") for place in places)
    assert any(place.startswith("environment of ") for _, place in watch.keys.found)
