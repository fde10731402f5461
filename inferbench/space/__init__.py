"""The whole workload space: flexibility, and who is best where."""
