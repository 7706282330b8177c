"""A small application for tests of environments, alone in its package."""
