"""Assay: version control for models. The Python client.

Importing this does nothing but define names: no connection is made, no logging is set up, no file is read.
"""

from assay.answers import Promotion, Run, Verification, Version
from assay.client import Client
from assay.errors import (
    AssayError,
    Conflict,
    DigestMismatch,
    FileChanged,
    FileInTheWay,
    Forbidden,
    Invalid,
    NotFound,
    PathRefused,
    PolicyFileInvalid,
    ReferenceInvalid,
    Refusal,
    ServerFault,
    SettingsError,
    StoreUnreachable,
    TimedOut,
    TooManyRequests,
    Unauthenticated,
    Unreachable,
    VersionFailed,
)
from assay.tracking import ActiveRun, current_run, run, track

__all__ = [
    "ActiveRun",
    "AssayError",
    "Client",
    "Conflict",
    "DigestMismatch",
    "FileChanged",
    "FileInTheWay",
    "Forbidden",
    "Invalid",
    "NotFound",
    "PathRefused",
    "PolicyFileInvalid",
    "Promotion",
    "ReferenceInvalid",
    "Refusal",
    "Run",
    "ServerFault",
    "SettingsError",
    "StoreUnreachable",
    "TimedOut",
    "TooManyRequests",
    "Unauthenticated",
    "Unreachable",
    "Verification",
    "Version",
    "VersionFailed",
    "current_run",
    "run",
    "track",
]
