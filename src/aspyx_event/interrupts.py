"""Tells the Ctrl-C of a person from a `KeyboardInterrupt` that application code raises."""

from __future__ import annotations

import signal
import threading


def ends_program(error: BaseException) -> bool:
    """True for the `KeyboardInterrupt` of a Ctrl-C, which must end the program and is not the fault of the running code.

    Python raises it in the main thread, and only while its own signal handler is installed. `asyncio.run` (from Python
    3.11 on), web servers and `aspyx-event run` install others, which stop the program in order.
    """
    return (
        issubclass(type(error), KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
