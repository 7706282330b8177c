import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

class DynamicProxy(Generic[_T]):
    class Invocation:
        type: builtins.type[Any]
        method: Callable[..., Any]
        args: tuple[Any, ...]
        kwargs: dict[str, Any]
        def __init__(self, type: builtins.type[Any], method: Callable[..., Any], *args: Any, **kwargs: Any) -> None: ...

    class InvocationHandler(ABC):
        @abstractmethod
        def invoke(self, invocation: DynamicProxy.Invocation) -> Any: ...
        @abstractmethod
        async def invoke_async(self, invocation: DynamicProxy.Invocation) -> Any: ...

    @classmethod
    def create(cls, type: type[_T], invocation_handler: DynamicProxy.InvocationHandler) -> _T: ...
    def __init__(self, type: type[_T], invocation_handler: DynamicProxy.InvocationHandler) -> None: ...
