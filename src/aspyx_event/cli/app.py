"""The commands and their options."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from importlib import metadata
from typing import Annotated, Optional

import typer
from aspyx.di import Environment

from .asking import ask
from .contract_commands import contract_app
from .dead_letter_commands import dead_letter_app
from .docs_commands import docs_app
from .loading import check_target, load, manager_of
from .output import LogLevel, console, errors_in_one_line, note, set_up_logs
from .serving import Service, threads_left

app = typer.Typer(
    name="aspyx-event",
    help="Run a module of listeners, look after its dead letters and its contracts, ask a running process how it does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it shows local variables, and with them passwords
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dead_letter_app, name="dlq")
app.add_typer(docs_app, name="docs")
app.add_typer(contract_app, name="contract")


def _version(asked: bool) -> None:
    if asked:
        console().print(f"aspyx-event {metadata.version('aspyx-event')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    target: Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")],
    grace: Annotated[
        Optional[float],  # noqa: UP045 - evaluated at run time, on Python 3.10 too
        typer.Option(min=0.0, metavar="SECONDS", help="Time for running handlers to finish; default: the manager's."),
    ] = None,
    health_port: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, max=65535, help="Answer /livez and /readyz here; 0 takes a free port."),
    ] = None,
    health_host: Annotated[str, typer.Option(help="Address for the probes.")] = "127.0.0.1",
    log_level: Annotated[
        Optional[LogLevel],  # noqa: UP045
        typer.Option(help="Default: info, or what the application sets up."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Errors with their traceback.")] = False,
) -> None:
    """Serve a module's listeners until SIGTERM or Ctrl-C.

    At the signal it takes nothing new, lets running handlers finish, hands back the rest and ends with 0.
    A second signal cancels the running handlers.
    """
    with errors_in_one_line(debug=debug):
        found = load(target)
        set_up_logs(log_level, LogLevel.INFO)
        environment = Environment(found)
        manager = manager_of(environment)
        if grace is not None:
            manager.stop_timeout = grace
        probes = None if health_port is None else (health_host, health_port)
        asyncio.run(Service(environment, manager, target).run(probes))
    left = threads_left()
    if left:
        # Python waits for threads without an end; what they do was handed back.
        note(f"ended without waiting for what still runs in threads: {', '.join(left)}", "yellow")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@app.command()
def health(
    address: Annotated[str, typer.Argument(metavar="URL_OR_PORT", help="8080, or http://host:8080/health")],
    live: Annotated[bool, typer.Option("--live", help="Ask /livez instead of /readyz.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time for the answer.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was answered.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Errors with their traceback.")] = False,
) -> None:
    """Ask a running process how it does; ends with 0 if it is well and with 1 otherwise."""
    with errors_in_one_line(debug=debug):
        good = ask(address, probe="livez" if live else "readyz", timeout=timeout, as_json=as_json)
    raise typer.Exit(0 if good else 1)
