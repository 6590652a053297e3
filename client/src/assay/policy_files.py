"""Policies in a YAML file: read with the place of every value, so that what is wrong can be pointed at; and written.

namespace: fraud
policies:
  - target: staging
    gates:
      - integrity_verified
      - metric_at_least: {metric: accuracy, bound: 0.8}
  - target: production
    model: card            # or `risk_tier: high`; neither: for all of the namespace
    approvals: 2           # or what the server takes: {count: 2}
    gates: [...]
"""

from __future__ import annotations

import importlib
import math
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from assay.errors import PolicyFileInvalid
from assay.policies import Policy

LARGEST_FILE = 1 << 20
# Aliases make a small file large: one that grows beyond this is no policy.
MOST_VALUES = 20_000
# Nor does a policy hold things in things in things without end; an alias may lead into itself.
DEEPEST = 20
KEYS = ("target", "model", "risk_tier", "gates", "approvals")
TARGETS = ("staging", "production")

Place = tuple[int, int]


@dataclass(frozen=True)
class PolicyText:
    """One policy of a file. `places` leads from a path, as `gates[1].parameters.bound`, to its line and column."""

    file: str
    namespace: str
    target: str
    model: str | None
    risk_tier: str
    gates: list[dict[str, Any]]
    approvals: dict[str, Any]
    places: dict[str, Place]

    @property
    def scope(self) -> str:
        """`fraud/card`, `fraud, tier high` or `fraud`."""
        if self.model:
            return f"{self.namespace}/{self.model}"
        return f"{self.namespace}, tier {self.risk_tier}" if self.risk_tier else self.namespace

    def at(self, field: str | None) -> str:
        """`policies.yaml:14:7` of what a refusal names; of the nearest around it when it stands nowhere itself."""
        path = field or ""
        while path and path not in self.places:
            shorter = re.sub(r"(\.[^.\[]*|\[\d*\]|[^.\[]+)$", "", path)
            path = shorter if shorter != path else ""
        line, column = self.places[path]
        return f"{self.file}:{line}:{column}"


def read_policies(path: Path, namespace: str | None = None) -> list[PolicyText]:
    """The policies of a file, for `namespace` where it names none. Raises PolicyFileInvalid, which says where."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise PolicyFileInvalid(f"{path}: {said}.") from error
    if len(text) > LARGEST_FILE:
        raise PolicyFileInvalid(f"{path} is larger than 1 MiB: that is no file of policies.")
    yaml = _yaml()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise PolicyFileInvalid(f"{where}: {getattr(error, 'problem', None) or 'it is not YAML'}.") from error
    if root is None:
        raise PolicyFileInvalid(f"{path} is empty: it holds `namespace:` and `policies:`.")
    reading = _Reading(str(path), yaml)
    return reading.document(root, namespace)


def written(policies: list[Policy]) -> str:
    """The file that, applied, asks for just this. Parameters that say nothing are left out."""
    listed = []
    for policy in policies:
        entry: dict[str, Any] = {"target": policy["target"]}
        entry |= {name: policy[name] for name in ("model", "risk_tier") if policy[name]}
        asked = policy["approvals"]
        entry["approvals"] = asked["count"] if set(asked) == {"count"} else asked
        entry["gates"] = [_gate(gate) for gate in policy["gates"]]
        listed.append(entry)
    document = {"namespace": policies[0]["namespace"], "policies": listed}
    return str(_yaml().safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def _gate(gate: dict[str, Any]) -> str | dict[str, Any]:
    said = {name: value for name, value in gate["parameters"].items() if value not in (None, "", [])}
    return {gate["gate"]: said} if said else str(gate["gate"])


class _Reading:
    """Values and their places, out of the nodes of one document."""

    def __init__(self, file: str, yaml: Any) -> None:
        self.file, self.yaml = file, yaml
        self.maker = yaml.constructor.SafeConstructor()
        self.count = 0

    def document(self, root: Any, namespace: str | None) -> list[PolicyText]:
        where: dict[str, Place] = {}
        value = self.value(root, "", where)
        if not isinstance(value, dict) or not isinstance(value.get("policies"), list):
            raise self.wrong(_place(root), "a file of policies holds `namespace:` and a list `policies:`")
        self.only(value, ("namespace", "policies"), "", where)
        home = value.get("namespace", namespace)
        if not isinstance(home, str) or not home:
            raise self.wrong(
                where.get("namespace", _place(root)), "name the namespace here, or by --namespace"
            )
        if namespace not in (None, home):
            raise self.wrong(where["namespace"], f"this is for {home}, and --namespace says {namespace}")
        read = [
            self.policy(item, home, f"policies[{index}]", where)
            for index, item in enumerate(value["policies"])
        ]
        seen: dict[tuple[str, str], str] = {}
        for index, policy in enumerate(read):
            before = seen.setdefault((policy.scope, policy.target), policy.at(None))
            if before != policy.at(None):
                raise self.wrong(
                    where[f"policies[{index}]"],
                    f"{policy.scope} has a {policy.target} policy in this file already, at {before}",
                )
        return read

    def policy(self, item: Any, namespace: str, path: str, where: dict[str, Place]) -> PolicyText:
        if not isinstance(item, dict):
            raise self.wrong(where[path], f"a policy is a mapping with {', '.join(KEYS)}")
        self.only(item, KEYS, path, where)
        if item.get("target") not in TARGETS:
            raise self.wrong(where.get(f"{path}.target", where[path]), "target is staging or production")
        for name in ("model", "risk_tier"):
            if not isinstance(item.get(name, ""), str):
                raise self.wrong(where[f"{path}.{name}"], f"{name} is a text")
        listed = item.get("gates", [])
        if not isinstance(listed, list):
            raise self.wrong(where[f"{path}.gates"], "gates is a list")
        places = {
            found.removeprefix(path).removeprefix("."): place
            for found, place in where.items()
            if found == path or found.startswith(f"{path}.")
        }
        gates = [self.gate(gate, f"gates[{index}]", places) for index, gate in enumerate(listed)]
        approvals = item.get("approvals", 0)
        return PolicyText(
            file=self.file,
            namespace=namespace,
            target=item["target"],
            model=item.get("model") or None,
            risk_tier=item.get("risk_tier") or "",
            gates=gates,
            approvals=approvals if isinstance(approvals, dict) else {"count": approvals},
            places=places,
        )

    def gate(self, given: Any, path: str, places: dict[str, Place]) -> dict[str, Any]:
        """`name`, `name: {parameters}`, or `gate: name` with `parameters:`, as the server takes it."""
        if isinstance(given, str):
            return {"gate": given, "parameters": {}}
        if isinstance(given, dict) and "gate" in given:
            self.only(given, ("gate", "parameters"), path, places)
            return {"gate": given["gate"], "parameters": given.get("parameters") or {}}
        if not isinstance(given, dict) or len(given) != 1:
            raise self.wrong(places[path], "a gate is its name, or its name with its parameters")
        name, parameters = next(iter(given.items()))
        for found in [each for each in places if each.startswith(f"{path}.{name}")]:
            places[f"{path}.parameters{found.removeprefix(f'{path}.{name}')}"] = places[found]
        places[f"{path}.gate"] = places[f"{path}.{name}"]
        return {"gate": name, "parameters": {} if parameters is None else parameters}

    def value(self, node: Any, path: str, where: dict[str, Place], depth: int = 0) -> Any:
        """The value of a node, with the place of each part of it in `where`."""
        self.count += 1
        if self.count > MOST_VALUES or depth > DEEPEST:
            raise self.wrong(_place(node), "the file is too large for policies")
        where.setdefault(path, _place(node))
        if isinstance(node, self.yaml.SequenceNode):
            return [
                self.value(each, f"{path}[{index}]", where, depth + 1)
                for index, each in enumerate(node.value)
            ]
        if not isinstance(node, self.yaml.MappingNode):
            return self.plain(node)
        found: dict[str, Any] = {}
        for key, child in node.value:
            name = key.value
            if not isinstance(key, self.yaml.ScalarNode) or not isinstance(name, str):
                raise self.wrong(_place(key), "a key is a word")
            if name in found:
                raise self.wrong(_place(key), f"{name} is here twice")
            inner = f"{path}.{name}" if path else name
            # A refusal of what is missing in a value, or of a key, points at the key.
            where[inner] = _place(key)
            found[name] = self.value(child, inner, where, depth + 1)
        return found

    def plain(self, node: Any) -> Any:
        """A text, a number, true, false or nothing; a date is a text only in quotes."""
        try:
            value = self.maker.construct_object(node)
        except (self.yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
            raise self.wrong(_place(node), "this is no plain value") from error
        if isinstance(value, date):
            raise self.wrong(_place(node), f'this is a date, and a text only in quotes: "{node.value}"')
        if not isinstance(value, str | int | float | None) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise self.wrong(_place(node), "this is no text and no finite number")
        return value

    def only(self, given: dict[str, Any], known: tuple[str, ...], path: str, where: dict[str, Place]) -> None:
        for name in given:
            if name not in known:
                inner = f"{path}.{name}" if path else name
                raise self.wrong(where[inner], f"there is no {name!r} here; there are {', '.join(known)}")

    def wrong(self, place: Place, what: str) -> PolicyFileInvalid:
        return PolicyFileInvalid(f"{self.file}:{place[0]}:{place[1]}: {what}.")


def _place(node: Any) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise PolicyFileInvalid("Policies in files need PyYAML: pip install 'assay-client[yaml]'.") from error
