"""The AsyncAPI 3.0 document of an application, and the page that shows it."""

from .app import DocumentApp

__all__ = ["DocumentApp"]
