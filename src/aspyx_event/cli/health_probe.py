"""Requests the health of a running process and shows the response."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from ..printable import printable
from .output import CliError, console, show

_PROBES = ("livez", "readyz")
#: Larger numbers in a response are not those of an event manager.
_MAX_NUMBER = 1e15
_MAX_RESPONSE = 16 * 1024 * 1024


def probe_health(address: str, *, probe: str, timeout: float, as_json: bool) -> bool:
    """Request a probe, print the health, and return whether the process is healthy.

    Args:
        address: A local port, or a URL; *probe* is appended if its path does not end with a probe.
        probe: "livez" or "readyz".
        timeout: Seconds to wait for the response.
        as_json: Print the response as JSON.

    Raises:
        typer.BadParameter: the address is neither a port nor a URL.
        CliError: there is no response, or it does not come from a probe.
    """
    status, body = _get(address, probe, timeout)
    try:
        health = json.loads(body)
        healthy, reasons = status == 200, [str(reason) for reason in health["reasons"]]
        subscriptions = [dict(subscription) for subscription in health["subscriptions"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CliError(f"the response (status {status}) is not the health of an event manager") from None
    if as_json:
        typer.echo(json.dumps(health, indent=2))
        return healthy
    word = "live" if probe == "livez" else "ready"
    out = console()
    line = Text(word if healthy else f"not {word}", "bold green" if healthy else "bold red")
    line.append(f"  {printable(_summary(health))}", "not bold dim")
    out.print(line, soft_wrap=True)
    for reason in reasons:
        out.print(Text(f"- {printable(reason)}"), soft_wrap=True)
    if subscriptions:
        show(_table(subscriptions))
    return healthy


def _get(address: str, probe: str, timeout: float) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{address}" if address.isdecimal() else address
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise typer.BadParameter("give a port, or a URL such as http://host:8080/health", param_hint="URL_OR_PORT")
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2] not in _PROBES:
        path += f"/{probe}"
    connection_type = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connection_type(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_MAX_RESPONSE + 1)
        if len(body) > _MAX_RESPONSE:
            raise CliError(f"the response has more than {_MAX_RESPONSE:,} bytes")
        return response.status, body
    except (OSError, http.client.HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise CliError(f"no response from {host}:{connection.port}: {reason}") from error
    finally:
        connection.close()


def _summary(health: dict[str, Any]) -> str:
    parts = [f"provider {health.get('provider')}"]
    if health.get("round_trip") is not None:
        parts.append(f"round trip {_number(health['round_trip']) * 1000:.0f} ms")
    parts += [f"{count} {health[count]}" for count in ("reconnects", "unconfirmed") if health.get(count)]
    return ", ".join(parts)


def _number(value: object) -> float:
    """Return a number of the response; 0 for anything else."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < _MAX_NUMBER else 0.0


def _table(subscriptions: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("subscription", "event", "state"):
        table.add_column(name)
    for name in ("waiting", "running", "oldest"):
        table.add_column(name, justify="right")
    for subscription in subscriptions:
        if not subscription.get("attached"):
            state = Text("detached", "red")
        elif subscription.get("paused"):
            state = Text("paused", "yellow")
        else:
            state = Text("attached", "green")
        names = [Text(printable(str(subscription.get(key, "")))) for key in ("name", "event")]
        numbers = [Text(f"{_number(subscription.get(key)):.0f}") for key in ("waiting", "running")]
        table.add_row(*names, state, *numbers, Text(f"{_number(subscription.get('oldest')):.1f} s"))
    return table
