"""Stores in the application's database: event store and inbox. SQLAlchemy is imported at first use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
