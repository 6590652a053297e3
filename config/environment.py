"""Where settings come from: the environment, secret files, and the file a running `manage.py up` leaves."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

# Settings that hold addresses: when none is given, those of the stack that `manage.py up` started are taken.
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL")


class MissingSetting(RuntimeError):
    """A required environment variable is absent; the message names it."""


def home() -> Path:
    """The folder for embedded services' data: ASSAY_HOME, else `.assay` in the checkout, else below /var/lib.

    As root the embedded Postgres runs as `nobody`, who must be able to walk to its data directory.
    """
    if given := os.environ.get("ASSAY_HOME"):
        return Path(given)
    if os.geteuid() == 0 and not _walkable_by_others(CHECKOUT):
        return Path("/var/lib/assay") / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    return CHECKOUT / ".assay"


def _walkable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def load_run_file() -> None:
    """Put `ASSAY_HOME/run.env` into the environment when no address is set; what is set already wins."""
    if any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in ADDRESSES):
        return
    try:
        lines = (home() / "run.env").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition("=")
        if name and not name.startswith("#"):
            os.environ.setdefault(name, value)


def setting(name: str, default: str | None = None) -> str:
    """The value of `name`, or the content of the file `name_FILE` points to, or the default.

    Raises MissingSetting, naming the variable, when there is neither and no default.
    """
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    if default is None:
        raise MissingSetting(
            f"Set {name} (or {name}_FILE, the path of a file that holds it). "
            "To start everything on this machine instead: manage.py up. "
            "For commands that need no services (lint, types, collectstatic): ASSAY_SETTINGS=build."
        )
    return default


def switch(name: str, default: bool = False) -> bool:
    """A yes-or-no setting: 1, true, yes, on (any case) are yes."""
    value = setting(name, "")
    return value.lower() in {"1", "true", "yes", "on"} if value else default


def one_of(name: str, default: str, *others: str) -> str:
    """A setting that is one of these words, the first by default. Raises ValueError that names it otherwise."""
    value = setting(name, default).lower()
    if value not in (default, *others):
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join((default, *others))}.")
    return value


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated setting as a list without blanks."""
    return [part.strip() for part in setting(name, default).split(",") if part.strip()]


def key_bytes(name: str, text: str) -> bytes:
    """The 32 bytes of a key that is written as 64 hexadecimal digits. Raises ValueError that names the setting, and
    does not tell the value."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError(f"{name} is no key: it is 64 hexadecimal digits, as `openssl rand -hex 32` prints.")
    return key
