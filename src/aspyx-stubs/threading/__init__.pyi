from .context_local import ContextLocal as ContextLocal
from .thread_local import ThreadLocal as ThreadLocal
