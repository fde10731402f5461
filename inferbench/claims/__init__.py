"""Claims checked by the tool itself."""
