"""docker-compose.yml as Compose reads it: variables filled in, merges done, services in their order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Z0-9_]+)(?::-(?P<default>[^}]*))?\}")
# Services of this project's own image; the others are other people's.
OURS = (
    "web",
    "worker-default",
    "worker-gates",
    "worker-artifacts",
    "worker-upkeep",
    "beat",
    "migrate",
    "buckets",
)


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Interpolate as Compose does: `${NAME:-default}`, and `$$` for a dollar."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match["name"]) or match["default"] or ""

    return VARIABLE.sub(value, text)


def defaults() -> dict[str, str]:
    """The default that the compose file itself gives each variable it mentions."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    return {m["name"]: m["default"] or "" for m in VARIABLE.finditer(text) if m["name"]}


@dataclass(frozen=True)
class Service:
    """One service, filled in."""

    name: str
    config: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """The command as an argument list."""
        given = self.config["command"]
        return shlex.split(given) if isinstance(given, str) else list(given)

    @property
    def environment(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.config.get("environment", {}).items()}

    @property
    def secrets(self) -> set[str]:
        return {s if isinstance(s, str) else s["source"] for s in self.config.get("secrets", [])}

    @property
    def health(self) -> list[str] | None:
        """The health check as an argument list."""
        if "healthcheck" not in self.config:
            return None
        kind, *rest = self.config["healthcheck"]["test"]
        return ["sh", "-c", rest[0]] if kind == "CMD-SHELL" else list(rest)

    @property
    def waits_for(self) -> dict[str, str]:
        """Which services must have come how far: name -> condition."""
        return {name: how["condition"] for name, how in self.config.get("depends_on", {}).items()}

    @property
    def networks(self) -> set[str]:
        return set(self.config.get("networks", []))


def document(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole file, filled in with `variables` over its own defaults."""

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return fill(value, variables or {})
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        return value

    loaded: dict[str, Any] = walk(yaml.safe_load(FILE.read_text()))
    return loaded


def services(variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """Every service by name."""
    return {name: Service(name, config) for name, config in document(variables)["services"].items()}


def in_order(chosen: Mapping[str, Service]) -> Iterator[list[Service]]:
    """The chosen services in the groups that start together, each after those it waits for."""
    graph = {name: [d for d in service.waits_for if d in chosen] for name, service in chosen.items()}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield [chosen[name] for name in ready]
        sorter.done(*ready)
