"""``aspyx-event contract``: records the events of a module, and checks today's code against the recorded contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ..contracts.check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind
from ..printable import printable
from .imports import Lenient, make_environment
from .loader import check_target, load, manager_of
from .output import NOT_SEARCHED, console, errors_in_one_line, note

contract_app = typer.Typer(
    help="Record event contracts and detect breaking changes. Does not connect to a broker.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the contracts, under version control.")]
Target = Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]


@contract_app.command()
def snapshot(
    directory: Directory,
    target: Target,
    force: Annotated[
        bool, typer.Option("--force", help="Also record schemas that break the recorded schema of the same version.")
    ] = False,
    as_json: AsJson = False,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Record the schema and an example payload of each event. Older versions are kept."""
    with errors_in_one_line(debug=debug):
        contracts = _contracts(target, lenient=lenient)
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
            help="Which code must read events when the schema of a version changes: today's (backward), older (forward), both."
        ),
    ] = Compatibility.FULL,
    as_json: AsJson = False,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Decode all recorded payloads with today's code and compare the schemas; exits with 1 on a breaking change."""
    with errors_in_one_line(debug=debug):
        report = _contracts(target, lenient=lenient).check(directory, compatibility=compatibility)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _show(report)
    raise typer.Exit(0 if report.ok else 1)


def _contracts(target: str, *, lenient: bool) -> Contracts:
    contracts = manager_of(make_environment(load(target), lenient=lenient)).contracts
    if not contracts.events:
        note(f"the module declares no events and no listeners; {NOT_SEARCHED}", "yellow")
    return contracts


_STYLES = {FindingKind.BREAKING: "bold red", FindingKind.COMPATIBLE: "green", FindingKind.NEW: "yellow"}


def _show(report: ContractReport) -> None:
    out = console()
    for finding in report.findings:
        out.print(_line(finding), soft_wrap=True)
    payloads = f"{report.payloads} payload{'' if report.payloads == 1 else 's'} decoded"
    if report.ok:
        summary = Text("compatible", "bold green")
    else:
        breaking = len(report.breaking)
        summary = Text(f"{breaking} breaking change{'' if breaking == 1 else 's'}", "bold red")
    events = f"{report.events} event{'' if report.events == 1 else 's'}"
    out.print(summary.append(f"  {events}, {payloads}", "not bold dim"), soft_wrap=True)


def _line(finding: ContractFinding) -> Text:
    line = Text(f"{finding.kind.value:<11}", _STYLES[finding.kind])
    line.append(f"{printable(finding.event)} v{finding.version}", "bold default")
    if finding.field:
        line.append(f"  {printable(finding.field)}", "not bold cyan")
    line.append(f": {printable(finding.reason)}", "not bold default")
    if finding.file:
        line.append(f"  ({printable(finding.file)})", "not bold dim")
    if finding.kind is FindingKind.BREAKING:
        breaks = f"breaks {', '.join(finding.listeners)}" if finding.listeners else "no listener in this application"
        line.append(f"\n{'':<11}{printable(breaks)}", "not bold default")
    return line
