"""The one road from a case to a run: partition, step, capacity, intervals, document."""
