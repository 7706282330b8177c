"""What the manager wires together: sending, dispatch, retries, dead letters, concurrency, subscriptions."""
