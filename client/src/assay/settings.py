"""Where the server is and who we are: argument, then environment, then the file that `assay login` writes.

The file holds a token for each server, so that a token is never sent to another server than its own:

    default = "https://assay.example.com"

    [servers."https://assay.example.com"]
    token = "assay_..."
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from assay.errors import SettingsError


@dataclass(frozen=True)
class Settings:
    """The address of a server, without a trailing slash, and a token (empty: none known)."""

    url: str
    token: str

    def __repr__(self) -> str:  # a token must not end up in a log through a repr
        return f"Settings(url={self.url!r}, token={'set' if self.token else 'none'})"


def config_file() -> Path:
    """`$XDG_CONFIG_HOME/assay/config.toml`, by default under `~/.config`."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(home) if Path(home).is_absolute() else Path.home() / ".config"
    return folder / "assay" / "config.toml"


def load(url: str | None = None, token: str | None = None) -> Settings:
    """The settings in force. Raises SettingsError when no address is known or the file cannot be used."""
    url = url or os.environ.get("ASSAY_URL")
    token = token or os.environ.get("ASSAY_TOKEN")
    if url and token:
        return Settings(normal_url(url), token.strip())
    default, tokens = _read(config_file())
    url = url or default
    if not url:
        raise SettingsError("No server is known: run `assay login URL`, set ASSAY_URL, or pass --url.")
    address = normal_url(url)
    return Settings(address, (token or tokens.get(address, "")).strip())


def save(settings: Settings) -> Path:
    """Remember a server and its token, and make it the default. The file is readable by its owner only."""
    path = config_file()
    _, tokens = _read(path)
    tokens[settings.url] = settings.token
    lines = [f"default = {_toml(settings.url)}", ""]
    for address, token in sorted(tokens.items()):
        lines += [f"[servers.{_toml(address)}]", f"token = {_toml(token)}", ""]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".config-")  # made 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    return path


def normal_url(url: str) -> str:
    """The address as it is compared and stored. Raises SettingsError when it is no http(s) address."""
    text = url.strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{url!r} is not an address: write it as https://host or http://host:port.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(f"The address of {parts.hostname} may hold no user name, query or fragment.")
    return text


def _read(path: Path) -> tuple[str | None, dict[str, str]]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from error
    if os.name == "posix" and mode & 0o077:
        raise SettingsError(f"{path} holds tokens and is open to others: run `chmod 600 {path}`.")
    try:
        data = tomllib.loads(text)
        default = data.get("default")
        tokens = {str(url): str(server.get("token", "")) for url, server in data.get("servers", {}).items()}
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise SettingsError(
            f"{path} is not a settings file: {error}. Remove it and run `assay login` again."
        ) from error
    return (str(default) if default else None), tokens


def _toml(text: str) -> str:
    return json.dumps(text)  # a JSON string is a TOML basic string
