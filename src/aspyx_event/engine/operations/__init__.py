"""What operators ask for: dead letters, replay, health, statistics, in-process dispatch."""
