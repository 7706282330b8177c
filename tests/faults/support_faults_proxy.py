"""A TCP proxy on the loopback that treats connections as bad networks do."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable

_CHUNK = 65536
_RST = struct.pack("ii", 1, 0)  # SO_LINGER with a time of 0: closing sends RST


class Flow:
    """One connection of a client, and the one to the broker that belongs to it."""

    def __init__(self, proxy: Proxy, client, broker) -> None:
        self._proxy = proxy
        self._readers = {"up": client[0], "down": broker[0]}
        self._writers = {"up": broker[1], "down": client[1]}
        self._frames = {"up": FrameFilter(proxy, "up"), "down": FrameFilter(proxy, "down")}
        #: Nothing passes any more, and nobody is told: a cable was pulled.
        self.dead = False

    async def run(self) -> None:
        pumps = [asyncio.create_task(self._pump(direction)) for direction in ("up", "down")]
        try:
            await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.reset()

    def reset(self) -> None:
        """End both connections with RST."""
        for writer in self._writers.values():
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.fileno() >= 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()

    async def _pump(self, direction: str) -> None:
        reader, writer, proxy = self._readers[direction], self._writers[direction], self._proxy
        try:
            while data := await reader.read(_CHUNK):
                await proxy.delay(len(data))
                if self.dead:
                    continue
                if proxy.tear == direction and len(data) >= 16:
                    # No frame of either protocol that is worth tearing is shorter than this.
                    proxy.tear = ""
                    writer.write(data[:-5])
                    await writer.drain()
                    self.reset()
                    return
                passed, lost = self._frames[direction].feed(data)
                writer.write(passed)
                await writer.drain()
                if lost:
                    self.reset()
                    return
        except OSError:
            pass
        finally:
            if not self.dead and not writer.is_closing():
                writer.close()


class Proxy:
    """Stands between clients and a broker. Without orders it passes everything on at once.

    Attributes:
        port: Where clients connect.
        tear: "up" or "down": the next piece going there is cut short and both connections reset.
        lose: Confirmations (STOMP RECEIPT, AMQP disposition) that will not arrive.
        lose_with_connection: The connection goes with the confirmation; otherwise it stays.
        lost: Confirmations that did not arrive.
        connections: Opened so far.
    """

    def __init__(self, host: str, port: int, protocol: str, seed: int) -> None:
        self._target, self.protocol = (host, port), protocol
        self.port = 0
        self.latency = self.jitter = 0.0
        self.bandwidth = 0
        self.tear = ""
        self.lose, self.lose_with_connection, self.lost = 0, True, 0
        self.connections = 0
        self._random = random.Random(seed)
        self._open = asyncio.Event()
        self._open.set()
        self._flows: set[Flow] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        """RST on every connection, both ways."""
        for flow in list(self._flows):
            flow.reset()

    def kill_quietly(self) -> None:
        """Every present connection passes nothing any more and is not closed: both sides believe in the other."""
        for flow in self._flows:
            flow.dead = True

    async def blackhole(self, seconds: float) -> None:
        """Hold everything back for a while, also of new connections, and then let it pass."""
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    def shape(self, latency: float = 0.0, jitter: float = 0.0, bandwidth: int = 0) -> None:
        """Delay each piece by *latency* plus or minus *jitter* seconds; pass *bandwidth* bytes a second, 0 is all."""
        self.latency, self.jitter, self.bandwidth = latency, jitter, bandwidth

    async def delay(self, size: int) -> None:
        await self._open.wait()
        pause = size / self.bandwidth if self.bandwidth else 0.0
        if self.latency:
            pause += max(0.0, self.latency + self._random.uniform(-self.jitter, self.jitter))
        if pause:
            await asyncio.sleep(pause)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            broker = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        flow = Flow(self, (reader, writer), broker)
        self._flows.add(flow)
        try:
            await flow.run()
        finally:
            self._flows.discard(flow)


class FrameFilter:
    """Finds confirmations in what a broker sends, to lose them. Looks only while there is something to lose."""

    def __init__(self, proxy: Proxy, direction: str) -> None:
        self._proxy, self._down = proxy, direction == "down"
        self._split: Callable[[bytes], int] = {"amqp": amqp_frame, "stomp": stomp_frame}[proxy.protocol]
        self._rest = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what is to be passed on, and whether the connection is to go."""
        if not self._down:
            return data, False
        data, passed = self._rest + data, b""
        while size := self._split(data):
            frame, data = data[:size], data[size:]
            if self._proxy.lose > 0 and self._is_confirmation(frame):
                self._proxy.lose -= 1
                self._proxy.lost += 1
                if self._proxy.lose_with_connection:
                    return passed, True
            else:
                passed += frame
        self._rest = data
        return passed, False

    def _is_confirmation(self, frame: bytes) -> bool:
        if self._proxy.protocol == "stomp":
            return frame.lstrip(b"\r\n").startswith(b"RECEIPT")
        # AMQP 1.0 part 2.3 (frame layout) and 2.7.6 (disposition, descriptor 0x15)
        body = frame[4 * frame[4] :] if not frame.startswith(b"AMQP") else b""
        return body[:3] == b"\x00\x53\x15"


def amqp_frame(data: bytes) -> int:
    """Return the size of the first frame, or protocol header, of *data*; 0 if it is not complete."""
    if len(data) < 8:
        return 0
    size = 8 if data.startswith(b"AMQP") else int.from_bytes(data[:4], "big")
    return size if len(data) >= size else 0


def stomp_frame(data: bytes) -> int:
    """As `amqp_frame`; only for connections on which no message comes, whose body could hold a NUL."""
    if data[:1] == b"\n":
        return 1
    return data.find(b"\0") + 1
