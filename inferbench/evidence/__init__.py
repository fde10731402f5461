"""Measured results: reading files and matching rows with what the tool predicts."""
