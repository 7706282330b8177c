"""An application in a directory of its own, and the command line in processes of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_commands import CommandForks
from support_waiting import DEADLINE, soon

COMMAND = "from aspyx_event.cli import main; main()"
APPLICATION = """
import asyncio
import os
import time
from dataclasses import dataclass

from aspyx.di import create, injectable, module, on_running

from aspyx_event import AMQPProvider, EventListener, EventManager, LocalProvider, StompProvider, event, event_listener

NAME, KIND = os.environ["NAME"], os.environ["KIND"]
SLEEP = float(os.environ.get("SLEEP", "0"))


def note(*words):
    with open("journal.txt", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")


@event(name=f"{NAME}.placed", durable=True)
@dataclass
class Placed:
    number: int


@event_listener(Placed, name=f"{NAME}-billing", concurrency=4)
class Billing(EventListener[Placed]):
    async def on(self, event):
        note("begun", event.number)
        await asyncio.sleep(SLEEP)
        if "FAIL" in os.environ:
            raise LookupError(f"no card\\x1b[31m for {event.number}")
        note("done", event.number)


@event_listener(Placed, name=f"{NAME}-shipping")
class Shipping(EventListener[Placed]):
    def on(self, event):
        note("shipping", event.number)
        if "STUCK" in os.environ:
            time.sleep(300)


def provider():
    if KIND == "local":
        return LocalProvider()
    given = {
        "host": os.environ.get("HOST", "127.0.0.1"),
        "port": int(os.environ["PORT"]),
        "user": os.environ["BROKER_USER"],
        "password": os.environ["PASSWORD"],
        "start_timeout": float(os.environ.get("START_TIMEOUT", "30")),
    }
    return AMQPProvider(server_name=NAME, **given) if KIND == "amqp" else StompProvider(server_name=NAME, **given)


async def send(first, last):
    manager = EventManager(provider())
    await manager.connect()
    await asyncio.gather(*(manager.send_event(Placed(number)) for number in range(first, last)))
    await manager.stop()


@module()
class ShopModule:
    @create()
    def manager(self) -> EventManager:
        return EventManager(provider())


@injectable()
class Sender:
    def __init__(self, manager: EventManager):
        self.manager = manager

    @on_running()
    async def start(self):
        self.sending = asyncio.ensure_future(self.send())

    async def send(self):
        for number in range(int(os.environ.get("SEND", "0"))):
            await self.manager.send_event(Placed(number))


class NoModule:
    pass
"""


class Running:
    """A command under way; its output goes to a file."""

    def __init__(self, arguments: tuple[str, ...], directory: Path, environ: dict[str, str]) -> None:
        self.log = directory / f"log-{time.monotonic_ns()}.txt"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *arguments], cwd=directory, env=environ, stdout=file, stderr=file
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def until(self, words: str) -> re.Match[str]:
        """Wait until the output matches."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None or re.search(words, self.text), self.text
            return re.search(words, self.text)

        return soon(found, f"{words!r} in the output")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


class Shop:
    """The application's directory, and its environment variables."""

    def __init__(self, directory: Path, name: str, commands: CommandForks) -> None:
        self.directory, self.name, self.commands = directory, name, commands
        self.environ = {**os.environ, "NAME": name, "KIND": "local", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        self.started: list[Running] = []
        (directory / "shop").mkdir()
        (directory / "shop" / "__init__.py").write_text("")
        (directory / "shop" / "main.py").write_text(APPLICATION)

    def use(self, kind: str, broker: Any) -> None:
        """Take a broker."""
        self.environ.update(
            KIND=kind, HOST=broker.host, PORT=str(broker.port), BROKER_USER=broker.user, PASSWORD=broker.password
        )

    def start(self, *arguments: str, **environ: str) -> Running:
        running = Running(arguments, self.directory, {**self.environ, **environ})
        self.started.append(running)
        return running

    def serve(self, *options: str, **environ: str) -> Running:
        """Run the module until it serves."""
        running = self.start("run", "shop.main:ShopModule", *options, **environ)
        running.until("serving shop.main:ShopModule")
        return running

    def call(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.commands.run(*arguments, cwd=self.directory, environ={**self.environ, **environ}, timeout=DEADLINE)

    def send(self, first: int, last: int) -> None:
        """Send the events *first* to *last* - 1 from a process of their own."""
        code = f"import asyncio; from shop.main import send; asyncio.run(send({first}, {last}))"
        subprocess.run([sys.executable, "-c", code], cwd=self.directory, env=self.environ, check=True, timeout=DEADLINE)

    def journal(self, word: str) -> list[int]:
        """Return the numbers that the listeners noted with *word*."""
        file = self.directory / "journal.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == word]


@pytest.fixture
def shop(tmp_path: Path, unique: str, commands: CommandForks) -> Iterator[Shop]:
    """An application on the local provider."""
    made = Shop(tmp_path, unique, commands)
    yield made
    for running in made.started:
        with contextlib.suppress(ProcessLookupError):
            running.process.kill()
        running.process.wait()


@pytest.fixture(params=["amqp", "stomp"])
def networked(request: pytest.FixtureRequest, shop: Shop, broker: Any, management: Any) -> Iterator[Shop]:
    """An application on the shared broker."""
    shop.use(request.param, broker)
    yield shop
    for running in shop.started:
        running.process.kill()
        running.process.wait()
    management.destroy_queues(shop.name)
