"""Steady-state serving, the frontier of speed against throughput, and sizing."""
