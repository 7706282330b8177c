"""Log lines that say which event they are about."""

from __future__ import annotations

import logging

from .context import current_context
from .log_fields import LOG_FIELDS, log_fields


class EventLogFilter(logging.Filter):
    """Gives log records the attributes ``event_id``, ``event_name``, ``correlation_id`` and ``subscription``.

    Of what a handler logs, on the loop or in its worker thread, they tell the event that is being handled. A record of
    the framework has them already where it is about an event. Elsewhere they are "", so that a format may always name
    them. Attach it to handlers, not to loggers: ``handler.addFilter(EventLogFilter())``. It lets everything pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        context = current_context()
        fields = (
            dict.fromkeys(LOG_FIELDS, "") if context is None else log_fields(context.envelope, context.listener.name)
        )
        for name, value in fields.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True
