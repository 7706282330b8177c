"""Transports. A module here is imported only when it is asked for by name."""
