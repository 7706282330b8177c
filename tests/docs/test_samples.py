"""Every code sample of README.md and docs/ is run.

The ```python blocks of a page are one program, run in their order by an interpreter of their own. Classes of a block,
written ```{.python .new}, say more:

* new: starts another program
* broker: starts another program, which finds its "localhost", 61616, "admin", "admin" to be a real broker
* tls: the same, with TLS at port 61617 and the broker's CA in ca.pem
* output (of a text block): the program before it has printed these lines

A block with title="path" is a file beside the page's programs; main.py is a program, test_*.py one for pytest. Programs keep the line
numbers of their page, so that a traceback points at the sample.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml
from support_samples import PAGES, PROGRAMS, ROOT, Program, blocks_of, files_of, programs_of

import aspyx_event
from aspyx_event import codecs, contracts, database, exceptions, providers, testing
from aspyx_event.engine import operations
from aspyx_event.providers.network import ConnectionKeywords

_TRAITS = {"new", "broker", "tls", "output"}
_LANGUAGES = {"python", "yaml", "text", "bash", "xml"}
_TIMEOUT = 90
WITHOUT_BROKER = [program for program in PROGRAMS if not program.traits & {"broker", "tls"}]
WITH_BROKER = [program for program in PROGRAMS if "broker" in program.traits]
WITH_TLS = [program for program in PROGRAMS if "tls" in program.traits]
# Tells which of the page's files were imported.
_EPILOGUE = """
import atexit as _atexit
import pathlib as _pathlib
import sys as _sys
_written = _pathlib.Path("imported.txt").resolve()
_atexit.register(lambda: _written.write_text(
    "\\n".join(getattr(_module, "__file__", None) or "" for _module in list(_sys.modules.values()))
))
"""


def run(program: Program, directory: Path, source: str, **environ: str) -> None:
    for name, text in files_of(program.page).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    name = program.blocks[0].title or f"{program.page.stem.replace('-', '_')}_sample.py"
    (directory / name).write_text(source + _EPILOGUE, encoding="utf-8")
    pytest_ = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if name.startswith("test_") else []
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", *pytest_, name],
        cwd=directory,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
    )
    assert done.returncode == 0, f"{program.where}\n{done.stdout}\n{done.stderr}"
    rest = done.stdout
    for expected in program.output:
        assert expected in rest, f"{program.where} printed\n{done.stdout}\ninstead of\n{expected}\n{done.stderr}"
        rest = rest.split(expected, 1)[1]
    imported = (directory / "imported.txt").read_text().splitlines()
    for name in files_of(program.page):
        if name.endswith(".py"):
            assert str(directory / name) in imported, f"{program.where} does not import {name}"
        else:
            assert Path(name).name in "".join(block.text for block in blocks_of(program.page) if block.title != name)


def at(program: Program, host: str, port: int, user: str, password: str) -> str:
    """Return the program with a broker's data in the place of the usual ones."""
    source = program.source()
    usual = {
        '"localhost"': repr(host),
        "61616": str(port),
        "61617": str(port),
        'user="admin"': f"user={user!r}",
        'password="admin"': f"password={password!r}",
    }
    assert any(text in source for text in (*usual, "ArtemisBroker.find")), f"{program.where} names no broker"
    for text, value in usual.items():
        source = source.replace(text, value)
    return source


@pytest.mark.parametrize("program", WITHOUT_BROKER, ids=lambda program: program.where)
def test_a_sample_runs(program, tmp_path):
    run(program, tmp_path, program.source())


@pytest.mark.broker
@pytest.mark.parametrize("program", WITH_BROKER, ids=lambda program: program.where)
def test_a_sample_runs_on_a_broker(program, tmp_path, broker, management):
    source = at(program, broker.host, broker.port, broker.user, broker.password)
    run(program, tmp_path, source, ARTEMIS_URL=broker.url)
    text = source + "".join(files_of(program.page).values())
    for name in dict.fromkeys(re.findall(r'(?:@event\(name=|subscribe\()"([^"]+)"', text)):
        for queue in management.queues():
            if queue in management.queues_of(name) or queue.startswith(f"dead-letters.{name}."):
                management.destroy_queue(queue, missing_ok=True)


@pytest.mark.broker
@pytest.mark.parametrize("program", WITH_TLS, ids=lambda program: program.where)
def test_a_sample_runs_with_tls(program, tmp_path, own_broker):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    pem = certificate.private_key_pem.bytes() + b"".join(each.bytes() for each in certificate.cert_chain_pems)
    broker = own_broker(
        acceptors={
            "tls": {"sslEnabled": "true", "keyStorePath": "${artemis.instance}/etc/server.pem", "keyStoreType": "PEM"}
        },
        files={"server.pem": pem},
    )
    run(program, tmp_path, at(program, "localhost", broker.ports["tls"], broker.user, broker.password))


def test_every_python_block_belongs_to_a_program_or_is_a_file():
    covered = {block.where for program in PROGRAMS for block in program.blocks}
    for page in PAGES:
        found = [block for block in blocks_of(page) if block.language == "python"]
        # Counted by another rule than the one that finds them.
        assert len(found) == len(re.findall(r"```\{? *\.?(?:python|py|python3|pycon)\b", page.read_text("utf-8"))), page
        for block in found:
            assert block.where in covered or block.title in files_of(page), block.where
    assert len(PROGRAMS) == len(WITHOUT_BROKER) + len(WITH_BROKER) + len(WITH_TLS)


def test_a_page_with_files_has_a_program_that_uses_them():
    for page in PAGES:
        assert not files_of(page) or programs_of(page), page


def test_blocks_say_what_they_are():
    for page in PAGES:
        for block in blocks_of(page):
            assert block.language in _LANGUAGES, f"{block.where}: {block.language}"
            assert block.traits <= _TRAITS, f"{block.where}: {block.traits}"


def test_yaml_can_be_read():
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "yaml":
                assert isinstance(yaml.safe_load(block.text), dict), block.where


def test_commands_name_targets_and_files_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "bash":
                for target in re.findall(r"\bmake ([a-z-]+)", block.text):
                    assert target in targets, f"{block.where}: make {target}"
                for path in re.findall(r"\b(?:examples|docker)/[\w./-]+", block.text):
                    assert (ROOT / path).exists(), f"{block.where}: {path}"


def test_every_error_is_explained():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    errors = [name for name, value in vars(exceptions).items() if _is_error(value)]
    assert len(errors) > 20
    assert [name for name in errors if not re.search(rf"\b{name}\b", page)] == []


def test_the_reference_has_every_public_name():
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    for package in (aspyx_event, testing, providers, database, contracts, codecs, operations):
        names = [name for name in package.__all__ if not name.startswith("__")]
        assert [
            name for name in names if not re.search(rf"^::: aspyx_event\.([\w.]+\.)?{name}$", pages, re.MULTILINE)
        ] == []


@pytest.mark.parametrize(
    ("page", "header", "documented"),
    [
        ("failures.md", "| `Retry(...)` |", aspyx_event.Retry),
        ("configuration.md", "| `EventManager(...)` |", aspyx_event.EventManager),
        ("events-and-codecs.md", "| keyword | default |", aspyx_event.event),
        ("events-and-codecs.md", "| keyword | meaning |", aspyx_event.EventManager.send_event),
        ("providers/amqp.md", "| argument | default |", aspyx_event.AMQPProvider),
    ],
)
def test_a_table_of_arguments_has_them_all(page, header, documented):
    lines = iter((ROOT / "docs" / page).read_text(encoding="utf-8").splitlines())
    assert any(line.startswith(header) for line in lines)
    next(lines)
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    parameters = set(inspect.signature(documented).parameters) - {"self", "event"}
    if "keywords" in parameters:
        parameters = (parameters - {"keywords"}) | set(ConnectionKeywords.__annotations__)
    assert named == parameters


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, aspyx_event.EventException)
