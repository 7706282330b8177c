"""`aspyx-event health`, and the probes that `run` serves."""

from __future__ import annotations

import http.server
import json
import socket
import threading

import pytest


@pytest.fixture
def probed(shop):
    """A running application with probes, and their port."""
    running = shop.serve("--health-port", "0")
    return shop, running, running.until(r"probes at http://127\.0\.0\.1:(\d+)/")[1]


def test_a_process_that_serves_is_ready_and_live(probed):
    shop, running, port = probed
    ready = shop.call("health", port)
    assert (ready.returncode, ready.stderr) == (0, "")
    assert ready.stdout.startswith("ready  provider local")
    assert f"{shop.name}-billing" in ready.stdout
    live = shop.call("health", port, "--live")
    assert (live.returncode, live.stdout.split()[0]) == (0, "live")
    for url in (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/deep/down/", f"http://127.0.0.1:{port}/readyz"):
        assert shop.call("health", url).returncode == 0
    found = json.loads(shop.call("health", port, "--json").stdout)
    assert found["ready"] is True
    running.signal()
    assert running.wait() == 0


def test_nobody_there_is_one_line_and_1(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        for address in (port, f"http://user:s3cr3t@127.0.0.1:{port}/"):
            ended = shop.call("health", address)
            assert (ended.returncode, ended.stdout) == (1, "")
            (line,) = ended.stderr.splitlines()
            assert line.startswith("error: no response from 127.0.0.1")
            assert "s3cr3t" not in line


@pytest.mark.parametrize("address", ["", "nonsense", "ftp://host/", "http://host:port/", "http://"])
def test_an_address_that_is_none_is_a_usage_error(shop, address):
    assert shop.call("health", address).returncode == 2


class Ill(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    """Serve one answer on a free port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ill)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_reasons_of_one_that_is_not_ready_are_told(shop, answering):
    state = {"name": "a", "event": "b", "attached": False, "paused": False, "waiting": 1, "running": 0, "oldest": 2.0}
    found = {
        "live": True,
        "ready": False,
        "reasons": ["no \x1b connection"],
        "provider": "amqp",
        "subscriptions": [state],
    }
    answering.answer = json.dumps(found).encode()
    ended = shop.call("health", str(answering.server_port))
    assert ended.returncode == 1
    assert ended.stdout.startswith("not ready")
    assert "- no \\x1b connection" in ended.stdout
    assert "detached" in ended.stdout


def test_another_server_is_told_from_a_process_of_ours(shop, answering):
    for answer in (b"<html>", b"[]", b"{}", b'{"reasons": [], "subscriptions": 3}'):
        answering.answer = answer
        ended = shop.call("health", str(answering.server_port))
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "not the health of an event manager" in ended.stderr


def test_the_probes_survive_what_is_no_http(probed):
    shop, running, port = probed
    for nonsense in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000, b"GET / HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            try:
                connection.sendall(nonsense)
            except OSError:
                continue  # it has hung up already
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(b"POST /livez?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.makefile("rb").readline() == b"HTTP/1.1 405 Method Not Allowed\r\n"
    assert shop.call("health", port).returncode == 0
    assert "Traceback" not in running.text


def test_a_port_that_is_taken_is_one_line(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = shop.call("run", "shop.main:ShopModule", "--health-port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "address already in use" in line
