from .synchronized import SynchronizeAdvice as SynchronizeAdvice
from .synchronized import synchronized as synchronized
