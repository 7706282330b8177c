"""The application around the shop: configuration, provider, handling of errors. Tests would bring another one."""
