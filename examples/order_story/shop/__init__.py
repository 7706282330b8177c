"""The shop: its events, and what listens to them. It knows nothing of brokers."""
