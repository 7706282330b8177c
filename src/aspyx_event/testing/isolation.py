"""`isolated_container`: a container of its own for each test, in one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aspyx.di import Environment, Providers
from aspyx.di.aop.aop import Advices
from aspyx.di.di import AbstractCallableProcessor, AbstractInstanceProvider, Boot
from aspyx.exception import ExceptionManager


@contextmanager
def isolated_container() -> Iterator[None]:
    """Start with a container that has no configuration, and remove at the end what the block has left in it.

    aspyx keeps declarations and the configuration per process. The declarations of imported modules stay, because Python
    imports a module only once: environments of later blocks find them. Classes that a function declared are removed.
    Not for blocks that run at the same time in several threads.
    """
    known = {id(declaration) for declaration in _declarations()}
    boot, instance = Boot.environment, Environment.instance
    # Both hold the objects that inject values of the configuration, by class.
    callables, cache = dict(AbstractCallableProcessor.callables), dict(AbstractCallableProcessor.cache)
    Boot.environment = None
    AbstractCallableProcessor.cache.clear()
    try:
        yield
    finally:
        _remove_local_declarations(known)
        Boot.environment, Environment.instance = boot, instance
        _restore(AbstractCallableProcessor.callables, callables)
        _restore(AbstractCallableProcessor.cache, cache)


def _declarations() -> Iterator[Any]:
    for providers in Providers.providers.values():
        yield from providers
    yield from Providers.check
    yield from Advices.targets
    yield from ExceptionManager.exception_handler_classes


def _remove_local_declarations(known: set[int]) -> None:
    def stays(declaration: Any, cls: Any) -> bool:
        return id(declaration) in known or _belongs_to_module(cls)

    def provider_stays(provider: AbstractInstanceProvider[Any]) -> bool:
        return stays(provider, provider.get_host())

    for provided, providers in list(Providers.providers.items()):
        providers[:] = filter(provider_stays, providers)
        if not providers:
            del Providers.providers[provided]
    Providers.check[:] = filter(provider_stays, Providers.check)
    Advices.targets[:] = [target for target in Advices.targets if stays(target, target._clazz)]
    handlers = ExceptionManager.exception_handler_classes
    handlers[:] = [cls for cls in handlers if stays(cls, cls)]


def _belongs_to_module(cls: type[Any]) -> bool:
    """True if *cls* is what its module, as it is imported now, has under the name of *cls*."""
    value: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        value = getattr(value, name, None)
    return value is cls


def _restore(current: dict[Any, Any], saved: dict[Any, Any]) -> None:
    current.clear()
    current.update(saved)
