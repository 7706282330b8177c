"""Data that the handlers of one delivery leave for each other, each in a namespace of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class Namespace:
    """Attributes that handlers of one delivery share. Names that begin with an underscore are refused."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        _check(name)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<Namespace {', '.join(vars(self)) or 'empty'}>"


class Shared:
    """The namespaces of one delivery: ``context.shared.<namespace>.<name>``. The first use makes a namespace; nothing
    can be set beside them, so that handlers which know nothing of each other do not meet by accident.
    """

    def __getattr__(self, namespace: str) -> Namespace:
        _check(namespace)
        made = Namespace()
        object.__setattr__(self, namespace, made)
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"context.shared.{name} is a namespace; set context.shared.{name}.<name> instead")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"context.shared.{name} is a namespace; delete what is in it")

    def __bool__(self) -> bool:
        """True once something was set."""
        return any(vars(namespace) for namespace in vars(self).values())

    def __repr__(self) -> str:
        return f"<Shared {', '.join(vars(self)) or 'empty'}>"


def _check(name: str) -> None:
    if name.startswith("_"):
        raise AttributeError(f"{name!r}: names in context.shared do not begin with an underscore")
