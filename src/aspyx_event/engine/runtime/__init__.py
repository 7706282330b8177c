"""The event loop, worker threads, start and stop."""
