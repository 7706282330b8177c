"""AsyncAPI 3.0: the document of an application, and an HTML page that shows it."""

from .app import DocumentApp

__all__ = ["DocumentApp"]
