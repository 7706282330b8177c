"""Events for applications on a dependency-injection container, in one process or across machines.

The stub beside this file lists the public names. Each is loaded when it is first asked for, so that a module that declares
events loads neither the engine nor asyncio.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Takes longer to import than most of the package.
        from importlib.metadata import version

        return version("aspyx-event")
    if name == "AMQProvider":  # the documentation of 0.9 has it; goes in 2.0, as the names of `compat` do
        name = "AMQPProvider"
    value = globals()[name] = _load(name)
    return value
