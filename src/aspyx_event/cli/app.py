"""The commands ``run`` and ``health``, and the application that all commands belong to."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from importlib import metadata
from typing import Annotated, Optional

import typer

from .contract_commands import contract_app
from .dead_letter_commands import dead_letter_app
from .docs_commands import docs_app
from .health_probe import probe_health
from .imports import Lenient, make_environment
from .loader import check_target, load, manager_of
from .output import LogLevel, console, errors_in_one_line, note, set_up_logs
from .service import Service, unfinished_threads

app = typer.Typer(
    name="aspyx-event",
    help="Run the listeners of a module, manage its dead letters and contracts, check the health of a running process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would show local variables, including passwords
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dead_letter_app, name="dlq")
app.add_typer(docs_app, name="docs")
app.add_typer(contract_app, name="contract")


def _print_version(requested: bool) -> None:
    if requested:
        console().print(f"aspyx-event {metadata.version('aspyx-event')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    target: Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")],
    grace: Annotated[
        Optional[float],  # noqa: UP045 - evaluated at run time, also on Python 3.10
        typer.Option(
            min=0.0, metavar="SECONDS", help="Time for running handlers to finish. Default: the manager's stop_timeout."
        ),
    ] = None,
    health_port: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, max=65535, help="Serve /livez and /readyz on this port; 0 picks a free port."),
    ] = None,
    health_host: Annotated[str, typer.Option(help="Address to serve the probes on.")] = "127.0.0.1",
    lenient: Lenient = False,
    log_level: Annotated[
        Optional[LogLevel],  # noqa: UP045
        typer.Option(help="Default: info, or what the application has configured."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Run the listeners of a module until SIGTERM or Ctrl-C.

    On a signal, the process stops receiving, lets running handlers finish, returns other events to the broker and
    exits with 0. A second signal cancels the running handlers.
    """
    with errors_in_one_line(debug=debug):
        module_class = load(target)
        set_up_logs(log_level, LogLevel.INFO)
        environment = make_environment(module_class, lenient=lenient)
        manager = manager_of(environment)
        if grace is not None:
            manager.stop_timeout = grace
        probes = None if health_port is None else (health_host, health_port)
        asyncio.run(Service(environment, manager, target).run(probes))
    threads = unfinished_threads()
    if threads:
        # Python would wait for these threads forever. Their events were returned to the broker.
        note(f"exiting without waiting for handlers that still run in threads: {', '.join(threads)}", "yellow")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@app.command()
def health(
    address: Annotated[str, typer.Argument(metavar="URL_OR_PORT", help="8080, or http://host:8080/health")],
    live: Annotated[bool, typer.Option("--live", help="Check /livez instead of /readyz.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time to wait for the response.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Check the health of a running process; exits with 0 if it is healthy, and with 1 otherwise."""
    with errors_in_one_line(debug=debug):
        healthy = probe_health(address, probe="livez" if live else "readyz", timeout=timeout, as_json=as_json)
    raise typer.Exit(0 if healthy else 1)
