"""``aspyx-event contract``: record the events of a module, and check today's code against what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from aspyx.di import Environment
from rich.text import Text

from ..contracts.check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind
from .loading import check_target, load, manager_of
from .output import console, errors_in_one_line, note, printable

contract_app = typer.Typer(
    help="Record what events promise, and find out who would break. Connects to no broker.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the contracts, kept with the sources.")]
Target = Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Errors with their traceback.")]


@contract_app.command()
def snapshot(
    directory: Directory,
    target: Target,
    force: Annotated[
        bool, typer.Option("--force", help="Record also what breaks the recorded schema of the same version.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write schema and example payload of every event and its version; what is there of older versions stays."""
    with errors_in_one_line(debug=debug):
        contracts = _contracts(target)
        written = contracts.snapshot(directory, force=force)
    if as_json:
        typer.echo(json.dumps({"events": len(contracts.events), "written": written}, indent=2))
        return
    for name in written:
        typer.echo(str(directory / name))
    events = f"{len(contracts.events)} event{'' if len(contracts.events) == 1 else 's'}"
    note(f"{events} recorded" if written else f"{events}: nothing has changed", "dim")


@contract_app.command()
def check(
    directory: Directory,
    target: Target,
    compatibility: Annotated[
        Compatibility,
        typer.Option(
            help="Who must go on reading when a version's schema changes: today's code, that of before, both."
        ),
    ] = Compatibility.FULL,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Decode every recorded payload with today's code and compare the schemas; ends with 1 if somebody would break."""
    with errors_in_one_line(debug=debug):
        report = _contracts(target).check(directory, compatibility=compatibility)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _show(report)
    raise typer.Exit(0 if report.ok else 1)


def _contracts(target: str) -> Contracts:
    return manager_of(Environment(load(target))).contracts


_STYLES = {FindingKind.BREAKING: "bold red", FindingKind.COMPATIBLE: "green", FindingKind.NEW: "yellow"}


def _show(report: ContractReport) -> None:
    out = console()
    for one in report.findings:
        out.print(_line(one), soft_wrap=True)
    payloads = f"{report.payloads} payload{'' if report.payloads == 1 else 's'} decoded"
    if report.ok:
        summary = Text("compatible", "bold green")
    else:
        breaking = len(report.breaking)
        summary = Text(f"{breaking} breaking change{'' if breaking == 1 else 's'}", "bold red")
    events = f"{report.events} event{'' if report.events == 1 else 's'}"
    out.print(summary.append(f"  {events}, {payloads}", "not bold dim"), soft_wrap=True)


def _line(one: ContractFinding) -> Text:
    line = Text(f"{one.kind.value:<11}", _STYLES[one.kind])
    line.append(f"{printable(one.event)} v{one.version}", "bold default")
    if one.field:
        line.append(f"  {printable(one.field)}", "not bold cyan")
    line.append(f": {printable(one.reason)}", "not bold default")
    if one.file:
        line.append(f"  ({printable(one.file)})", "not bold dim")
    if one.kind is FindingKind.BREAKING:
        breaks = f"breaks {', '.join(one.listeners)}" if one.listeners else "nobody listens here"
        line.append(f"\n{'':<11}{printable(breaks)}", "not bold default")
    return line
