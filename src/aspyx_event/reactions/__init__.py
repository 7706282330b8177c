"""Ready-made handlers."""

from __future__ import annotations

from .webhook import Webhook, WebhookAnswer, webhook

__all__ = ["Webhook", "WebhookAnswer", "webhook"]
