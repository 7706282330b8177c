"""Finding listeners, handlers and interceptors: those of one environment, or those a program hands over."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from aspyx.di import Environment
from aspyx.reflection import Decorators

from ...exceptions import DeclarationError, ListenerError
from ...listener_descriptors import Declaration
from ...listeners import event_listener, handler_declarations, listener_declarations
from ...pipeline import EnvelopePipeline, envelope_pipeline, pipeline_rank
from ...senders import sent_by


class DeclaredHandler(NamedTuple):
    """A declared listener or handler.

    Attributes:
        declaration: What its decorator was given.
        type: The listener class or the function, for descriptors.
        resolve: Builds it, on first use, and returns the function to call. Raises ListenerError.
    """

    declaration: Declaration
    type: Any
    resolve: Callable[[], Callable[..., Any]]

    @staticmethod
    def built(declaration: Declaration, type_: Any, function: Callable[..., Any]) -> DeclaredHandler:
        """Return that of a *function* which is there already."""
        return DeclaredHandler(declaration, type_, partial(_itself, function))


def handlers_of(environment: Environment) -> list[DeclaredHandler]:
    """Return what reacts in *environment*: its own classes only, not those of a parent or of another environment."""
    found = []
    for cls in _own_types(environment, lambda cls: bool(listener_declarations(cls) or _marked_methods(cls))):
        resolve = partial(_method_of, environment, cls, "on")
        found += [DeclaredHandler(declaration, cls, resolve) for declaration in listener_declarations(cls)]
        for name, function in _marked_methods(cls):
            resolve = partial(_method_of, environment, cls, name)
            declarations = named_declarations(function, f"{cls.__name__}.{name}")
            found += [DeclaredHandler(one, function, resolve) for one in declarations]
    return found


def handlers_in(objects: Iterable[Any]) -> list[DeclaredHandler]:
    """Return what reacts among functions marked with ``@event_handler``, and instances of listener classes or of
    classes with such methods.

    Raises:
        DeclarationError: an object is none of these.
    """
    found = []
    for one in objects:
        if inspect.isfunction(one) or inspect.ismethod(one):
            marked = [DeclaredHandler.built(each, one, one) for each in named_declarations(one, one.__name__)]
        else:
            marked = [DeclaredHandler.built(each, type(one), one.on) for each in listener_declarations(type(one))]
            for name, function in _marked_methods(type(one)):
                declarations = named_declarations(function, f"{type(one).__name__}.{name}")
                marked += [DeclaredHandler.built(each, function, getattr(one, name)) for each in declarations]
        if not marked:
            raise DeclarationError(
                f"{one!r} reacts to nothing: hand over functions marked with @event_handler, or instances of classes "
                "marked with @event_listener"
            )
        found += marked
    return found


def named_declarations(function: Any, default: str) -> list[Declaration]:
    """Return what ``@event_handler`` left on *function*; declarations without a name get the *default*."""
    return [
        one if one.options.name else one._replace(options=replace(one.options, name=default))
        for one in handler_declarations(function)
    ]


def senders_of(environment: Environment) -> list[type]:
    """Return the classes of *environment* that tell with ``@sends`` what they send; its module classes among them."""
    return _own_types(environment, lambda cls: bool(sent_by(cls)))


def pipelines_of(environment: Environment) -> list[type]:
    """Return the interceptor classes of *environment*, outermost first."""
    own = _own_types(environment, lambda cls: _decorated(cls, envelope_pipeline))
    return sorted(own, key=pipeline_rank)


def build_pipelines(environment: Environment, classes: Iterable[type]) -> list[EnvelopePipeline]:
    """Return the interceptors, created by the container.

    Raises:
        DeclarationError: one cannot be built.
    """
    built = []
    for cls in classes:
        try:
            built.append(environment.get(cls))
        except Exception as error:
            raise DeclarationError(f"pipeline {cls.__qualname__} cannot be built: {error}") from error
    return built


def _own_types(environment: Environment, wanted: Callable[[type], bool]) -> list[type]:
    inherited = environment.parent.providers if environment.parent is not None else {}
    found = environment.registered_types(lambda cls: inspect.isclass(cls) and wanted(cls))
    # A class is found once per base class it provides; the order of a set of ids is no order.
    own = {cls for cls in found if environment.providers.get(cls) is not inherited.get(cls)}
    return sorted(own, key=lambda cls: (cls.__module__, cls.__qualname__))


def _decorated(cls: type, decorator: Callable[..., Any]) -> bool:
    return any(found.decorator is decorator for found in Decorators.get(cls))


def _marked_methods(cls: type) -> list[tuple[str, Any]]:
    return [
        (name, function)
        for name, function in inspect.getmembers(cls, inspect.isfunction)
        if handler_declarations(function)
    ]


def _method_of(environment: Environment, cls: type, name: str) -> Callable[..., Any]:
    try:
        return getattr(environment.get(cls), name)  # type: ignore[no-any-return]
    except Exception as error:
        kind = "listener" if _decorated(cls, event_listener) else "handler class"
        raise ListenerError(f"{kind} {cls.__module__}.{cls.__qualname__} cannot be built: {error}") from error


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
