"""Fits of stacks to measurements."""
