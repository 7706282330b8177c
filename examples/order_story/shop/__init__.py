"""The shop: its events and listeners. It does not depend on a broker."""
