"""How fast aspyx_event is beside the raw clients of the same protocols: `python -m benchmarks`."""
