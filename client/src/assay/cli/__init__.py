"""The command `assay`.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from assay.cli.app import app, main

__all__ = ["app", "main"]
