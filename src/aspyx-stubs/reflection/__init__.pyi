from .proxy import DynamicProxy as DynamicProxy
from .reflection import DecoratorDescriptor as DecoratorDescriptor
from .reflection import Decorators as Decorators
from .reflection import TypeDescriptor as TypeDescriptor
