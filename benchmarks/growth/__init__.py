"""How the cost of an event grows with everything there can be more of: `python -m benchmarks --growth`."""
