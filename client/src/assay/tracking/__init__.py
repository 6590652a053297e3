"""Capture of what made a model: code, arguments, data read, environment, metrics, the model itself.

Importing this installs nothing: the audit hook comes with the first run, and sees nothing outside of one.
"""

from assay.tracking.decorator import track
from assay.tracking.runs import ActiveRun, current_run, run

__all__ = ["ActiveRun", "current_run", "run", "track"]
