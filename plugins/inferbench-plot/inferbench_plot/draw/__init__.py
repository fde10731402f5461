"""The renderers: terminal, files, pages."""
