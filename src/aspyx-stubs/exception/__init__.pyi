from .exception_manager import ExceptionManager as ExceptionManager
from .exception_manager import catch as catch
from .exception_manager import exception_handler as exception_handler
from .exception_manager import handle as handle
