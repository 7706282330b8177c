"""``aspyx-event docs``: documents the events of a module, as an AsyncAPI document and as an HTML page."""

from __future__ import annotations

import asyncio
import signal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..asyncapi.app import DocumentApp, as_json, as_yaml
from ..asyncapi.page import page_of
from .http_server import HttpServer
from .imports import Lenient, make_environment
from .loader import check_target, load, manager_of
from .output import NOT_SEARCHED, CliError, errors_in_one_line, note

docs_app = typer.Typer(
    help="Document the events that a module sends and receives: AsyncAPI 3.0 and HTML. Does not connect to a broker.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Format(str, Enum):
    """Format of a document."""

    JSON = "json"
    YAML = "yaml"


Target = Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")]
Output = Annotated[
    Optional[Path],  # noqa: UP045 - evaluated at run time, also on Python 3.10
    typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
]
Title = Annotated[str, typer.Option(help="Name of the application. Default: the name of its module class.")]
Version = Annotated[str, typer.Option("--app-version", metavar="VERSION", help="Version of the application.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]


@docs_app.command()
def asyncapi(
    target: Target,
    output: Output = None,
    format_: Annotated[
        Optional[Format],  # noqa: UP045
        typer.Option("--format", "-f", help="Default: from the file name, or json."),
    ] = None,
    title: Title = "",
    version: Version = "1.0.0",
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Write the AsyncAPI 3.0 document."""
    with errors_in_one_line(debug=debug):
        if format_ is None:
            format_ = Format.YAML if output is not None and output.suffix in (".yaml", ".yml") else Format.JSON
        document = _document(target, title, version, lenient=lenient)
        _write(as_yaml(document) if format_ is Format.YAML else as_json(document), output)


@docs_app.command()
def html(
    target: Target,
    output: Output = None,
    title: Title = "",
    version: Version = "1.0.0",
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Write the HTML page: a single file that needs no network."""
    with errors_in_one_line(debug=debug):
        _write(page_of(_document(target, title, version, lenient=lenient)), output)


@docs_app.command()
def serve(
    target: Target,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    title: Title = "",
    version: Version = "1.0.0",
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Serve the HTML page until Ctrl-C. The document is at /asyncapi.json and /asyncapi.yaml."""
    with errors_in_one_line(debug=debug):
        asyncio.run(_serve(DocumentApp(_document(target, title, version, lenient=lenient)), host, port))


async def _serve(app: DocumentApp, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with HttpServer(app, host, port) as server:
        url_host = f"[{host}]" if ":" in host else host
        note(f"http://{url_host}:{server.port}/  Ctrl-C stops it")
        await stop.wait()


def _document(target: str, title: str, version: str, *, lenient: bool) -> dict[str, Any]:
    contracts = manager_of(make_environment(load(target), lenient=lenient)).contracts
    if not contracts.events:
        note(f"the module declares no events and no listeners; {NOT_SEARCHED}", "yellow")
    return contracts.asyncapi(title=title, version=version)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {output}: {error.strerror}") from error
    note(f"{output} written", "dim")
