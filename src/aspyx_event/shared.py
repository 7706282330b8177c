"""Data shared by the handlers of a delivery, in namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class Namespace:
    """Attributes shared by the handlers of a delivery. Names that begin with an underscore are refused."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        _check(name)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<Namespace {', '.join(vars(self)) or 'empty'}>"


class Shared:
    """The namespaces of a delivery: ``context.shared.<namespace>.<name>``. The first use creates a namespace. Attributes
    outside of namespaces are refused, so unrelated handlers do not overwrite each other's data by accident.
    """

    def __getattr__(self, namespace: str) -> Namespace:
        _check(namespace)
        created = Namespace()
        object.__setattr__(self, namespace, created)
        return created

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"context.shared.{name} is a namespace; set context.shared.{name}.<name> instead")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"context.shared.{name} is a namespace; delete its attributes")

    def __bool__(self) -> bool:
        """True if a namespace has an attribute."""
        return any(vars(namespace) for namespace in vars(self).values())

    def __repr__(self) -> str:
        return f"<Shared {', '.join(vars(self)) or 'empty'}>"


def _check(name: str) -> None:
    if name.startswith("_"):
        raise AttributeError(f"{name!r}: names in context.shared do not begin with an underscore")
