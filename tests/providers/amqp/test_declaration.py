"""The AMQP provider before it starts: its arguments, and what happens without the driver."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aspyx_event.exceptions import DeclarationError
from aspyx_event.policies import QueueNaming
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.base import Provider


@pytest.mark.parametrize("name", ["", None, 7, b"server"])
def test_a_server_name_is_a_text_that_is_not_empty(name):
    with pytest.raises(DeclarationError, match="server_name"):
        AMQPProvider(name)


def test_an_unknown_mechanism_is_refused():
    with pytest.raises(DeclarationError, match="PLAIN, ANONYMOUS, EXTERNAL"):
        AMQPProvider("s", mechanism="CRAM-MD5")


def test_the_familiar_arguments_keep_their_order():
    provider = AMQPProvider("server-1", "host", 1234, "user", "hidden-word")
    assert isinstance(provider, Provider)
    assert repr(provider) == "<AMQPProvider 'server-1' at host:1234>"
    assert provider.server_name == "server-1"
    assert provider.queue_naming is QueueNaming.LISTENER
    assert AMQPProvider("s", queue_naming=QueueNaming.QUALIFIED).queue_naming is QueueNaming.QUALIFIED
    assert "hidden-word" not in repr(vars(provider))


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_and_constructing_touches_neither_driver_nor_network():
    assert (
        run(
            "import sys, socket\n"
            "socket.socket.connect = None\n"
            "from aspyx_event.providers.amqp import AMQPProvider\n"
            "AMQPProvider('s', user='u', password='p', ssl=True)\n"
            "print([name for name in sys.modules if 'proton' in name])\n"
        )
        == "[]\n"
    )


def test_starting_without_the_driver_says_how_to_install_it():
    printed = run(
        "import asyncio, sys\n"
        "sys.modules['proton'] = sys.modules['cproton'] = None\n"
        "from aspyx_event.providers.amqp import AMQPProvider\n"
        "from aspyx_event.exceptions import MissingDriverError\n"
        "try: asyncio.run(AMQPProvider('s').start())\n"
        "except MissingDriverError as error: print(error)\n"
    )
    for part in ("pip install 'aspyx-event[amqp]'", "compiles", "libc6-dev", "STOMP"):
        assert part in printed
