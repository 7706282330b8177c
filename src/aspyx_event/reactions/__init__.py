"""Ready-made handlers."""

from __future__ import annotations

from .simple import call, log_event, stdout
from .webhook import Webhook, WebhookAnswer, webhook

__all__ = ["Webhook", "WebhookAnswer", "call", "log_event", "stdout", "webhook"]
