"""Finds listeners, handlers and interceptors in an environment or among objects that a program passes."""

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
        declaration: The arguments of its decorator.
        type: The listener class or the function, for descriptors.
        resolve: Builds the listener on first use and returns the function to call. Raises ListenerError.
    """

    declaration: Declaration
    type: Any
    resolve: Callable[[], Callable[..., Any]]

    @staticmethod
    def built(declaration: Declaration, type_: Any, function: Callable[..., Any]) -> DeclaredHandler:
        """Return the declared handler of an existing *function*."""
        return DeclaredHandler(declaration, type_, partial(_itself, function))


def handlers_of(environment: Environment) -> list[DeclaredHandler]:
    """Return the handlers of *environment*: its own classes only, not those of a parent or of another environment."""
    handlers = []
    for cls in _own_types(environment, lambda cls: bool(listener_declarations(cls) or _marked_methods(cls))):
        resolve = partial(_method_of, environment, cls, "on")
        handlers += [DeclaredHandler(declaration, cls, resolve) for declaration in listener_declarations(cls)]
        for name, function in _marked_methods(cls):
            resolve = partial(_method_of, environment, cls, name)
            declarations = named_declarations(function, f"{cls.__name__}.{name}")
            handlers += [DeclaredHandler(declaration, function, resolve) for declaration in declarations]
    return handlers


def handlers_in(objects: Iterable[Any]) -> list[DeclaredHandler]:
    """Return the handlers among functions marked with ``@event_handler``, instances of listener classes, and instances of
    classes with marked methods.

    Raises:
        DeclarationError: an object has no handler.
    """
    handlers = []
    for item in objects:
        if inspect.isfunction(item) or inspect.ismethod(item):
            declared = [
                DeclaredHandler.built(declaration, item, item)
                for declaration in named_declarations(item, item.__name__)
            ]
        else:
            declared = [
                DeclaredHandler.built(declaration, type(item), item.on)
                for declaration in listener_declarations(type(item))
            ]
            for name, function in _marked_methods(type(item)):
                declared += [
                    DeclaredHandler.built(declaration, function, getattr(item, name))
                    for declaration in named_declarations(function, f"{type(item).__name__}.{name}")
                ]
        if not declared:
            raise DeclarationError(
                f"{item!r} has no handler; pass functions marked with @event_handler, or instances of classes marked "
                "with @event_listener"
            )
        handlers += declared
    return handlers


def named_declarations(function: Any, default: str) -> list[Declaration]:
    """Return the ``@event_handler`` declarations of *function*; those without a name get the *default* name."""
    return [
        declaration
        if declaration.options.name
        else declaration._replace(options=replace(declaration.options, name=default))
        for declaration in handler_declarations(function)
    ]


def senders_of(environment: Environment) -> list[type]:
    """Return the classes of *environment* marked with ``@sends``, module classes included."""
    return _own_types(environment, lambda cls: bool(sent_by(cls)))


def pipelines_of(environment: Environment) -> list[type]:
    """Return the interceptor classes of *environment*, outermost first."""
    own = _own_types(environment, lambda cls: _decorated(cls, envelope_pipeline))
    return sorted(own, key=pipeline_rank)


def build_pipelines(environment: Environment, classes: Iterable[type]) -> list[EnvelopePipeline]:
    """Return the interceptors, created by the container.

    Raises:
        DeclarationError: an interceptor cannot be built.
    """
    built: list[EnvelopePipeline] = []
    for cls in classes:
        try:
            built.append(environment.get(cls))
        except Exception as error:
            raise DeclarationError(f"pipeline {cls.__qualname__} cannot be built: {error}") from error
    return built


def _own_types(environment: Environment, matches: Callable[[type], bool]) -> list[type]:
    inherited = environment.parent.providers if environment.parent is not None else {}
    registered = environment.registered_types(lambda cls: inspect.isclass(cls) and matches(cls))
    # A class is registered once per base class that it provides, and a set of classes has no stable order.
    own = {cls for cls in registered if environment.providers.get(cls) is not inherited.get(cls)}
    return sorted(own, key=lambda cls: (cls.__module__, cls.__qualname__))


def _decorated(cls: type, decorator: Callable[..., Any]) -> bool:
    return any(descriptor.decorator is decorator for descriptor in Decorators.get(cls))


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
