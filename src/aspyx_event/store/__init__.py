"""What the framework remembers beyond a message."""
