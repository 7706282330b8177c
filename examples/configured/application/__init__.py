"""Puts the application together from its configuration."""
