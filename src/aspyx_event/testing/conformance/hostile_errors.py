"""Errors that handlers can raise and that are hard to describe, copy or recognise: a table for tests."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

#: Since Python 3.11.
_GROUP: Any = getattr(builtins, "ExceptionGroup", None)
_BASE_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)


@dataclass(frozen=True)
class Frozen(Exception):
    """Refuses every assignment, also that of a traceback: https://github.com/python/cpython/issues/99856."""

    code: int


@dataclass(frozen=True, slots=True)
class FrozenSlotted(Exception):
    """The same without a dictionary."""

    code: int


def _refuse(*_: Any) -> NoReturn:
    raise ZeroDivisionError("the error has an error")


def _exit(*_: Any) -> NoReturn:
    sys.exit("the error exits")


def _cancel(*_: Any) -> NoReturn:
    raise asyncio.CancelledError


def _hostile(name: str, **members: Any) -> type[Exception]:
    return type(name, (Exception,), members)


#: A text whose own methods raise.
_StubbornText = type(
    "_StubbornText",
    (str,),
    dict.fromkeys(("__str__", "__len__", "__getitem__", "__format__", "__contains__", "encode", "isascii"), _refuse),
)
#: A class without a readable name.
_RefusingClass = type("_RefusingClass", (type,), {"__name__": property(_refuse), "__repr__": _refuse})
#: An error of such a class.
NAMELESS: Any = _RefusingClass("Nameless", (Exception,), {})


class Abort(BaseException):
    """Not an `Exception`."""


UNPRINTABLE_STR = _hostile("UnprintableStr", __str__=_refuse)
UNPRINTABLE = _hostile("Unprintable", __str__=_refuse, __repr__=_refuse)
EXITING_STR = _hostile("ExitingStr", __str__=_exit, __repr__=_exit)
CANCELLING_STR = _hostile("CancellingStr", __str__=_cancel, __repr__=_cancel)
WRONG_STR = _hostile("WrongStr", __str__=lambda _: 5, __repr__=lambda _: None)
STUBBORN_STR = _hostile("StubbornStr", __str__=lambda _: _StubbornText("stubborn"))
HIDDEN_CLASS = _hostile("HiddenClass", __class__=property(_refuse))
HIDDEN_TRACEBACK = _hostile("HiddenTraceback", __traceback__=property(_refuse, _refuse))
HIDDEN_NOTES = _hostile("HiddenNotes", __notes__=property(_refuse, _refuse), add_note=_refuse)
HIDDEN_CAUSE = _hostile("HiddenCause", __cause__=property(_refuse), __context__=property(_refuse))
HIDDEN_ATTRIBUTES = _hostile("HiddenAttributes", __getattribute__=_refuse)
REFUSING_ATTRIBUTES = _hostile("RefusingAttributes", __setattr__=_refuse, with_traceback=_refuse)
FALSE = _hostile("FalseError", __bool__=lambda _: False, __len__=lambda _: 0)
UNEQUAL = _hostile("UnequalError", __eq__=_refuse, __hash__=_refuse)


def _huge() -> Exception:
    return RuntimeError("huge " * 200_000)


def _cyclic() -> Exception:
    error, cause = ValueError("cyclic"), KeyError("cause")
    error.__cause__, cause.__cause__ = cause, error
    error.__context__ = error
    return error


def _deep() -> Exception:
    error = ValueError("the first cause")
    for _ in range(5_000):
        effect = ValueError("deep")
        effect.__cause__ = error
        error = effect
    return error


def _unprintable_cause() -> Exception:
    error = ValueError("its cause is unprintable")
    error.__cause__ = UNPRINTABLE()
    return error


def _noted() -> Exception:
    error = ValueError("noted")
    error.__notes__ = [5, UNPRINTABLE(), "\ud800"]  # type: ignore[attr-defined,unused-ignore]
    return error


#: Name of a hostile error: makes one. Each is raised as it is by a handler.
HOSTILE_ERRORS: dict[str, Callable[[], BaseException]] = {
    "frozen": lambda: Frozen(7),
    "frozen-slotted": lambda: FrozenSlotted(7),
    "unprintable-str": UNPRINTABLE_STR,
    "unprintable": UNPRINTABLE,
    "exiting-str": EXITING_STR,
    "cancelling-str": CANCELLING_STR,
    "wrong-str": WRONG_STR,
    "stubborn-str": STUBBORN_STR,
    "nameless": NAMELESS,
    "hidden-class": HIDDEN_CLASS,
    "hidden-traceback": HIDDEN_TRACEBACK,
    "hidden-notes": HIDDEN_NOTES,
    "hidden-cause": HIDDEN_CAUSE,
    "hidden-attributes": HIDDEN_ATTRIBUTES,
    "refusing-attributes": REFUSING_ATTRIBUTES,
    "false": FALSE,
    "unequal": UNEQUAL,
    "huge": _huge,
    "cyclic": _cyclic,
    "deep": _deep,
    "unprintable-cause": _unprintable_cause,
    "noted": _noted,
    "surrogates": lambda: ValueError("\ud800\udfff"),
    "control-characters": lambda: ValueError("a\0b\r\nc\x1b[31m:\\"),
    "system-exit": lambda: SystemExit(7),
    "generator-exit": GeneratorExit,
    "stop-iteration": lambda: StopIteration(5),
    "stop-async-iteration": StopAsyncIteration,
    "cancelled": asyncio.CancelledError,
    "thread-cancelled": concurrent.futures.CancelledError,
    "timeout": asyncio.TimeoutError,
    "invalid-state": asyncio.InvalidStateError,
    "abort": lambda: Abort("enough"),
    "base": BaseException,
    "recursion": lambda: RecursionError("too deep"),
    "memory": MemoryError,
    "keyboard-interrupt": KeyboardInterrupt,
}


def _group() -> Any:
    return _GROUP("group", [UNPRINTABLE(), _GROUP("inner", [Frozen(7)])])


def _base_group() -> Any:
    return _BASE_GROUP("group", [KeyboardInterrupt(), SystemExit(7), asyncio.CancelledError()])


def _deep_group() -> Any:
    error: Exception = ValueError("the innermost")
    for _ in range(2_000):
        error = _GROUP("deep", [error])
    return error


if _GROUP is not None:
    HOSTILE_ERRORS |= {"group": _group, "base-group": _base_group, "deep-group": _deep_group}
if sys.version_info < (3, 11):
    # `asyncio.run` leaves Ctrl-C to the interpreter there: it cannot be told apart from one that a handler raises.
    del HOSTILE_ERRORS["keyboard-interrupt"]
