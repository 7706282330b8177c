"""Logging that never raises, whatever the application's logging and the logged values do."""

from __future__ import annotations

import logging

import pytest

from aspyx_event.safe_logger import SafeLogger
from aspyx_event.testing.conformance.hostile_errors import HOSTILE_ERRORS, UNPRINTABLE, Abort

logger = SafeLogger(logging.getLogger("aspyx.event.test"))


class Raising(logging.Handler):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error, self.calls = error, 0

    def emit(self, record: logging.LogRecord) -> None:
        self.calls += 1
        raise self.error


@pytest.fixture
def attach():
    attached = []

    def add(handler: logging.Handler) -> logging.Handler:
        logging.getLogger("aspyx.event.test").addHandler(handler)
        attached.append(handler)
        return handler

    yield add
    for handler in attached:
        logging.getLogger("aspyx.event.test").removeHandler(handler)


@pytest.mark.parametrize("error", [ValueError, SystemExit, Abort, UNPRINTABLE, GeneratorExit])
def test_a_handler_that_raises_costs_its_record_only(attach, error):
    handler = attach(Raising(error))
    logger.error("one")
    logger.warning("two %s", 2)
    assert handler.calls == 2


@pytest.mark.parametrize("name", HOSTILE_ERRORS)
def test_every_hostile_error_is_logged(name, caplog):
    """As an argument, as its repr, and with its traceback. caplog fails on a record that cannot be formatted."""
    error = HOSTILE_ERRORS[name]()
    logger.error("failed: %s, %r", error, error, exc_info=error)
    try:
        raise error
    except BaseException:
        logger.exception("failed again")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all(len(record.getMessage()) < 10_000 for record in caplog.records)


def test_an_attribute_that_the_application_has_set_does_not_lose_the_record(caplog):
    """`logging` refuses to overwrite attributes of a record."""
    factory = logging.getLogRecordFactory()

    def with_event_id(*arguments, **keywords):
        record = factory(*arguments, **keywords)
        record.event_id = "set by the application"
        return record

    logging.setLogRecordFactory(with_event_id)
    try:
        logger.warning("once", extra={"event_id": "7"})
    finally:
        logging.setLogRecordFactory(factory)
    assert [record.getMessage() for record in caplog.records] == ["once"]


def test_a_record_names_the_line_that_logged(caplog):
    caplog.set_level(logging.DEBUG)
    logger.debug("debug")
    logger.info("info")
    logger.warning("warning")
    logger.error("error")
    logger.log(logging.ERROR, "log")
    assert {record.funcName for record in caplog.records} == {"test_a_record_names_the_line_that_logged"}
    assert len(caplog.records) == 5


def test_an_ordinary_error_reaches_the_handlers_as_it_is(caplog):
    error = ValueError("plain")
    logger.error("failed", exc_info=error)
    assert caplog.records[0].exc_info == (ValueError, error, None)


def test_an_error_with_a_lone_surrogate_is_written_to_a_file(attach, tmp_path):
    log = tmp_path / "log"
    handler = attach(logging.FileHandler(log, encoding="utf-8"))
    try:
        raise ValueError("\ud800 refused")
    except ValueError:
        logger.exception("failed")
    handler.close()
    assert "ValueError: \\ud800 refused" in log.read_text(encoding="utf-8")
