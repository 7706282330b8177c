"""Events for applications on a dependency-injection container."""
