"""Runs commands of `aspyx-event`, each in a fork of a process that has imported them: a start takes 10 ms, not a second."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LARGEST_REQUEST = 1 << 20


class CommandForks:
    """The process whose forks run the commands. It starts with the first command; `close` ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def run(
        self, *arguments: str, cwd: Path, environ: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command without standard input to its end.

        Raises:
            subprocess.TimeoutExpired: the command did not end within *timeout* seconds; it was killed.
        """
        channel = self._started()
        request = json.dumps([arguments, str(cwd), dict(environ)]).encode()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
            files = array.array("i", [nothing.fileno(), out.fileno(), err.fileno()])
            channel.settimeout(timeout)
            channel.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            pid = int(channel.recv(64))
            try:
                status = int(channel.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                channel.settimeout(None)
                channel.recv(64)
                raise subprocess.TimeoutExpired(["aspyx-event", *arguments], timeout) from None
            out.seek(0)
            err.seek(0)
            code = os.waitstatus_to_exitcode(status)
            return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())

    def close(self) -> None:
        if self._process is not None and self._socket is not None:
            self._socket.close()
            self._process.wait(60)

    def _started(self) -> socket.socket:
        if self._socket is None:
            # Packets: a request and a reply stay whole.
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, __file__, str(theirs.fileno())]
                self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        return self._socket


def _serve(channel: socket.socket) -> list[str]:
    """Fork for each request until the other end is closed. Returns in the fork only, with the command's arguments."""
    import aspyx_event.cli.app  # noqa: F401

    while True:
        request, files = _receive(channel)
        if not request:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            channel.close()
            return _become_the_command(request, files)
        for file in files:
            os.close(file)
        channel.send(b"%d" % pid)
        channel.send(b"%d" % os.waitpid(pid, 0)[1])


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    files = array.array("i")
    request, extra, *_ = channel.recvmsg(_LARGEST_REQUEST, socket.CMSG_LEN(3 * files.itemsize))
    for _level, _kind, data in extra:
        files.frombytes(data)
    return request, list(files)


def _become_the_command(request: bytes, files: list[int]) -> list[str]:
    values: list[Any] = json.loads(request)
    arguments, directory, environ = values
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0] = ""  # as for python -c
    return [str(argument) for argument in arguments]


if __name__ == "__main__":
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    from aspyx_event.cli import main

    main()
