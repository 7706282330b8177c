"""`EventModule`, alone in its package: aspyx imports every submodule of a module class's package."""

from aspyx.di import module


@module()
class EventModule:
    """Import it in your module: ``@module(imports=[EventModule])``. The module then creates the `EventManager`."""

    def __init__(self) -> None:
        """Nothing to set up: constructors do no I/O."""
