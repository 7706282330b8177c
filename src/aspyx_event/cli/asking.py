"""Asking a running process for its health, and showing what it answers."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from .output import CliError, console, printable, show

_PROBES = ("livez", "readyz")


def ask(address: str, *, probe: str, timeout: float, as_json: bool) -> bool:
    """Ask for a probe, print the findings, return whether they are good.

    Args:
        address: A port of this machine, or a URL; where its path names no probe, *probe* is added.
        probe: "livez" or "readyz".
        timeout: Seconds for the answer.
        as_json: Print the answer as it is.

    Raises:
        typer.BadParameter: the address is none.
        CliError: nobody there, or what answers is no probe.
    """
    status, body = _get(address, probe, timeout)
    try:
        found = json.loads(body)
        good, reasons = status == 200, [str(reason) for reason in found["reasons"]]
        subscriptions = [dict(one) for one in found["subscriptions"]]
    except (ValueError, KeyError, TypeError):
        raise CliError(f"what answers there (status {status}) is not the health of an event manager") from None
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return good
    word = "live" if probe == "livez" else "ready"
    out = console()
    line = Text(word if good else f"not {word}", "bold green" if good else "bold red")
    line.append(f"  {printable(_summary(found))}", "not bold dim")
    out.print(line, soft_wrap=True)
    for reason in reasons:
        out.print(Text(f"- {printable(reason)}"), soft_wrap=True)
    if subscriptions:
        show(_table(subscriptions))
    return good


def _get(address: str, probe: str, timeout: float) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{address}" if address.isdecimal() else address
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise typer.BadParameter("give a port, or a URL like http://host:8080/health", param_hint="URL_OR_PORT")
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2] not in _PROBES:
        path += f"/{probe}"
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        where = f"{host}:{connection.port}"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise CliError(f"no answer from {where}: {reason}") from error
    finally:
        connection.close()


def _summary(found: dict[str, Any]) -> str:
    said = [f"provider {found.get('provider')}"]
    if found.get("round_trip") is not None:
        said.append(f"round trip {float(found['round_trip']) * 1000:.0f} ms")
    said += [f"{label} {found[key]}" for key, label in _COUNTS if found.get(key)]
    return ", ".join(said)


_COUNTS = (("reconnects", "reconnects"), ("unconfirmed", "unconfirmed"))


def _table(subscriptions: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("subscription", "event", "state"):
        table.add_column(name)
    for name in ("waiting", "running", "oldest"):
        table.add_column(name, justify="right")
    for one in subscriptions:
        attached = bool(one.get("attached"))
        state = Text("paused", "yellow") if one.get("paused") else Text("attached", "green")
        if not attached:
            state = Text("detached", "red")
        names = [Text(printable(str(one.get(key, "")))) for key in ("name", "event")]
        numbers = [Text(str(one.get(key, ""))) for key in ("waiting", "running")]
        table.add_row(*names, state, *numbers, Text(f"{float(one.get('oldest') or 0):.1f} s"))
    return table
