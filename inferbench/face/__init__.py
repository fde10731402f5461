"""The verbs of the public face: one module per command, names in, a record out."""
