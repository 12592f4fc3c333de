"""`finops`: the command line. Each group of commands is a module beside this one."""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Annotated

import typer

from finops_pipeline.cli import (
    audit,
    costs,
    demo,
    doctor,
    housekeeping,
    key,
    privacy,
    project,
    query,
    reconcile,
    registry,
    requests,
    run,
    settings,
    simulate,
    team,
    ui,
)
from finops_pipeline.errors import FinopsError

_GARBAGE_THRESHOLDS = (50_000, 20, 20)

app = typer.Typer(
    name="finops",
    help="What each team and project spent on OpenAI, provably.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; anywhere on the line.")
    ] = False,
) -> None:
    """What each team and project spent on OpenAI, provably."""


app.add_typer(team.app, name="team")
app.add_typer(key.app, name="key")
app.add_typer(project.app, name="project")
app.add_typer(registry.app, name="registry")
app.add_typer(audit.app, name="audit")
app.add_typer(privacy.app, name="privacy")
app.command("run")(run.run)
app.command("build")(run.build)
app.add_typer(requests.app, name="requests")
app.add_typer(costs.app, name="costs")
app.command("reconcile")(reconcile.reconcile)
app.command("housekeeping")(housekeeping.housekeeping)
app.command("query")(query.query)
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)
app.command("simulate")(simulate.simulate)
app.command("ui")(ui.ui)
app.command("demo")(demo.demo)


def main() -> None:
    """The console script: errors meant for people become one line and their exit code."""
    # Dagster and dbt keep hundreds of thousands of objects. To look through all of them as often as
    # Python does, and once more when it ends, took a seventh of a build.
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    atexit.register(gc.freeze)
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="finops")
    except FinopsError as error:
        if debug:
            raise
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        # The text of an unforeseen exception could hold anything, a key included.
        print(
            f"Error: something unforeseen broke off the command ({type(error).__name__}). "
            "Run it again with --debug to see where.",
            file=sys.stderr,
        )
        sys.exit(1)
