"""The base of all parts of the suite: what a provider's author gives, and how a test runs."""

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
    """What a subclass gives. Tests are plain functions that run an event loop of their own.

    Attributes:
        provider_type: The class of the provider. What its `capabilities` do not claim is not tested: those tests are
            not there, see `__init_subclass__`.
        patience: Seconds that one wait may take before it counts as failed.
        limit: Seconds that one test may take.
    """

    provider_type: ClassVar[type[Provider]]
    patience: float = 20.0
    limit: float = 90.0

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
        """Return a new provider that is not started. All providers of one test reach each other."""
        raise NotImplementedError

    def recipe(self, server_name: str) -> Recipe | None:  # noqa: ARG002
        """Return how another process makes the same provider; None for a provider that is not remote."""
        return None

    def clean_up(self, prefix: str) -> None:
        """Called after each test: remove what the broker keeps of addresses and queues whose names contain *prefix*."""


def contract(*needs: str) -> Callable[[Scenario], Callable[[Any], None]]:
    """Make a test of a scenario: ``async def test_x(self, rig)``.

    Args:
        needs: Names of the capabilities that it tests.
    """

    def decorate(scenario: Scenario) -> Callable[[Any], None]:
        def test(self: Any) -> None:
            names: list[str] = []
            try:
                asyncio.run(_run(self, scenario, names))
            finally:
                for name in names:
                    self.clean_up(name)

        # Not functools.wraps: by __wrapped__ pytest would take the rig for a fixture.
        test.__name__, test.__qualname__ = scenario.__name__, scenario.__qualname__
        test.__doc__, test.__module__ = scenario.__doc__, scenario.__module__
        test.__dict__["needs"] = needs
        return test

    return decorate


async def _run(suite: ConformanceBase, scenario: Scenario, names: list[str]) -> None:
    accidents: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: accidents.append(context))
    rig = Rig(suite)
    names.append(rig.name)
    try:
        await within(scenario(suite, rig), suite.limit)
    finally:
        await within(rig.close(), suite.limit)
    assert not accidents, f"the loop had to report: {accidents}"
