"""What is kept in the database of the application: the event store and the inbox. SQLAlchemy is imported on demand."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
