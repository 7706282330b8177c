"""The application around the shop: configuration, provider, error handling. Tests would use a different one."""
