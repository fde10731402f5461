"""The version of the core and of the first-party packages, which move in lockstep."""

__version__ = "0.1.0"
