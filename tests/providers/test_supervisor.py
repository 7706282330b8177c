"""The supervisor of a connection, with connections that raise whatever Python can raise."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from support_waiting import eventually

from aspyx_event.exceptions import ConnectError, ConnectionLostError, HeaderError, ProviderError
from aspyx_event.providers.base import ConnectionHooks
from aspyx_event.providers.connection import Supervisor
from aspyx_event.providers.settings import ConnectionSettings


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class OwnBase(BaseException):
    pass


ERRORS = [
    OverflowError("int too large"), RecursionError("deep"), MemoryError(), KeyError("x"), StopIteration(1), Unprintable(),
    StopAsyncIteration(), HeaderError("typed, but of another kind"), ProviderError("typed"), ConnectError("typed"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), OSError("os"), asyncio.TimeoutError(), asyncio.CancelledError(),
    GeneratorExit(), OwnBase("own"), asyncio.InvalidStateError("state"),
]  # fmt: skip


class Connection:
    def __init__(self):
        self.closed = asyncio.get_running_loop().create_future()
        self.aborted = False

    def abort(self, reason):
        self.aborted = True
        if not self.closed.done():
            self.closed.set_result(reason)


class Harness:
    """A supervisor whose parts raise *error* at the first *times* uses after the start."""

    def is_up(self, count):
        """Tell whether the connection number *count* is the current one."""
        return len(self.opened) == count and self.supervisor.wire is not None

    def __init__(self, part, error, times=1, **options):
        self._part, self._error, self._left = part, error, times
        self.connections, self.opened, self.ends, self.started = [], [], [], False
        hooks = ConnectionHooks(
            on_connect=lambda: self._raise("on_connect"),
            on_disconnect=lambda _: self._raise("on_disconnect"),
            on_error=lambda _: self._raise("on_error"),
        )
        settings = ConnectionSettings(
            protocol="STOMP",
            host="localhost",
            port=1,
            hooks=hooks,
            backoff=(0.001, 0.002),
            start_timeout=5.0,
            **options,
        )
        self.supervisor = Supervisor(settings, self._connect, self._up, self._down, self.ends.append)

    def _raise(self, part):
        if part == self._part and self.started and self._left:
            self._left -= 1
            raise self._error

    async def _connect(self, _settings):
        self._raise("connect")
        self.connections.append(Connection())
        return self.connections[-1]

    def _up(self, connection):
        self._raise("up")
        self.opened.append(connection)

    def _down(self, _reason):
        self._raise("down")


@pytest.mark.parametrize("part", ["connect", "up", "down", "on_connect", "on_disconnect"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_supervisor_survives_whatever_its_parts_raise(part, error):
    """The next connection comes, and the one after it."""
    harness = Harness(part, error)
    await harness.supervisor.start()
    harness.started = True
    for expected in (2, 3):
        harness.supervisor.wire.closed.set_result(ConnectionLostError("cut"))
        await eventually(partial(harness.is_up, expected))
        assert not harness.supervisor.reconnect_exhausted
    assert await harness.supervisor.connected(1.0) is harness.opened[-1]
    assert all(connection.aborted for connection in harness.connections if connection not in harness.opened)
    await harness.supervisor.stop()


async def test_an_error_hook_that_raises_ends_nothing():
    harness = Harness("connect", OSError("away"), times=3)
    object.__setattr__(harness.supervisor.settings, "hooks", ConnectionHooks(on_error=lambda _: 1 / 0))
    await harness.supervisor.start()
    harness.started = True
    harness.supervisor.wire.closed.set_result(ConnectionLostError("cut"))
    await eventually(lambda: len(harness.opened) == 2)
    await harness.supervisor.stop()


@pytest.mark.parametrize(
    "error", [OverflowError("x"), OSError("x"), Unprintable()], ids=lambda error: type(error).__name__
)
async def test_an_error_of_any_kind_counts_for_max_retries_and_everybody_is_told(error):
    harness = Harness("connect", error, times=10**6, max_retries=3)
    await harness.supervisor.start()
    harness.started = True
    waiting = asyncio.ensure_future(harness.supervisor.connected(60.0))
    await waiting
    harness.supervisor.wire.closed.set_result(ConnectionLostError("cut"))
    await eventually(lambda: harness.supervisor.wire is None)
    waiting = asyncio.ensure_future(harness.supervisor.connected(60.0))
    with pytest.raises(ConnectError, match="stopped reconnecting to the STOMP broker at localhost:1 after 3 attempts"):
        await asyncio.wait_for(waiting, 20)
    assert harness.supervisor.reconnect_exhausted
    assert [type(end) for end in harness.ends] == [ConnectionLostError]
    await harness.supervisor.stop()


async def test_a_supervision_that_somebody_cancels_starts_again():
    """Code that cancels all tasks of a loop must not leave a provider without a supervisor."""
    harness = Harness("", OSError())
    await harness.supervisor.start()
    harness.supervisor._task.cancel()
    await asyncio.sleep(0)
    harness.supervisor.wire.closed.set_result(ConnectionLostError("cut"))
    await eventually(lambda: len(harness.opened) == 2)
    await harness.supervisor.stop()
