"""The base class of all parts of the suite, and the decorator that turns a scenario into a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from ...deadlines import within
from ...providers.base import Provider
from .processes import Recipe
from .rig import Rig

Scenario = Callable[[Any, Rig], Awaitable[None]]


class ConformanceBase:
    """Configured by a subclass. Tests are plain functions with their own event loop.

    Attributes:
        provider_type: Class of the provider. Tests of capabilities that it does not have are removed, see
            `__init_subclass__`.
        wait_timeout: Seconds for a wait; after that the test fails.
        test_timeout: Seconds for a test.
    """

    provider_type: ClassVar[type[Provider]]
    wait_timeout: float = 20.0
    test_timeout: float = 90.0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        provider = getattr(cls, "provider_type", None)
        if provider is None:
            return
        for name in dir(cls):
            needs = getattr(getattr(cls, name), "needs", ())
            if not all(getattr(provider.capabilities, capability) for capability in needs):
                setattr(cls, name, None)

    def make_provider(self, server_name: str) -> Provider:
        """Return a new provider that is not started. All providers of a test must reach each other."""
        raise NotImplementedError

    def recipe(self, server_name: str) -> Recipe | None:  # noqa: ARG002
        """Return how another process creates the same provider; None for a provider that is not remote."""
        return None

    def clean_up(self, prefix: str) -> None:
        """Remove addresses and queues whose names contain *prefix* from the broker; called after each test."""


def contract(*needs: str) -> Callable[[Scenario], Callable[[Any], None]]:
    """Turn a scenario ``async def test_x(self, rig)`` into a test.

    Args:
        needs: Names of the capabilities that the test requires.
    """

    def decorate(scenario: Scenario) -> Callable[[Any], None]:
        def test(self: Any) -> None:
            names: list[str] = []
            try:
                asyncio.run(_run(self, scenario, names))
            finally:
                for name in names:
                    self.clean_up(name)

        # Not functools.wraps: because of __wrapped__, pytest would treat rig as a fixture.
        test.__name__, test.__qualname__ = scenario.__name__, scenario.__qualname__
        test.__doc__, test.__module__ = scenario.__doc__, scenario.__module__
        test.__dict__["needs"] = needs
        return test

    return decorate


async def _run(suite: ConformanceBase, scenario: Scenario, names: list[str]) -> None:
    loop_errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: loop_errors.append(context))
    rig = Rig(suite)
    names.append(rig.name)
    try:
        await within(scenario(suite, rig), suite.test_timeout)
    finally:
        await within(rig.close(), suite.test_timeout)
    assert not loop_errors, f"errors reported by the event loop: {loop_errors}"
