"""Text to records: TOML, options and ranges, with every fault named."""
