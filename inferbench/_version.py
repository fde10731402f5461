"""The core's name on the package index, and its version, which the first-party packages share.

`inferbench` and `inferbench-cli` belong to other people there: see the decision record about the name.
"""

__version__ = "0.1.0"
DISTRIBUTION = "inferbench-core"
