"""Alerts by webhook: each failure of a program is an event, and serious failures are posted to a URL.

A small HTTP server in this program plays the pager. It is busy at first, so the webhook is retried.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aspyx_event import EventManager, LocalProvider, Retry, event
from aspyx_event.exceptions import WebhookRefusedError
from aspyx_event.reactions import webhook


@event(name="ops.exception-raised", source="/shop", owner="ops", tags=("alert",))
@dataclass
class ExceptionRaised:
    where: str
    kind: str
    text: str
    serious: bool


class Pager(BaseHTTPRequestHandler):
    """Answers 503 once, then accepts every post."""

    busy = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = 503 if Pager.busy else 202
        Pager.busy = False
        print(f"pager: {status} to {self.headers.get('ce-type', 'no event')} {body.decode()}")
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"accepted": status == 202}).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


def run_reported(manager: EventManager, where: str, work: Callable[[], None]) -> None:
    """Call *work* and send an event if it fails."""
    try:
        work()
    except Exception as error:  # noqa: BLE001  any failure is reported
        serious = not isinstance(error, ValueError)
        manager.send_event(ExceptionRaised(where, type(error).__name__, str(error), serious))


def typo() -> None:
    int("seven")


def disk() -> None:
    raise OSError("no space left")


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pager)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    manager = EventManager(LocalProvider())
    hook = webhook(f"http://127.0.0.1:{server.server_port}/alerts", timeout=10.0)
    pager = manager.subscribe(
        ExceptionRaised,
        hook,
        name="pager",
        when=lambda event: event.serious,
        retry=Retry(attempts=3, delay=0.05, never=(WebhookRefusedError,)),
    )
    manager.subscribe(ExceptionRaised, lambda event: print(f"log: {event.kind} in {event.where}"), name="log")
    try:
        run_reported(manager, "form", typo)
        run_reported(manager, "storage", disk)
        # The sends have returned after all listeners were done, including retries.
        print("answer:", hook.last_answer)
        print(f"posted {pager.stats.count}, failed attempts {pager.stats.failures}, skipped {pager.stats.skipped}")
    finally:
        manager.stop()
        server.shutdown()


if __name__ == "__main__":
    main()
