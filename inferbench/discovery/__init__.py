"""Plugins: hooks, the registry, its entries and the executors that the core brings."""
