"""One file per way to send and receive; each has `run(order) -> {kind of work: Sample}`."""
