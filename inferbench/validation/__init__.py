"""Predictions against measurements: rules, scores and reconciliation."""
