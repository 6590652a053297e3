"""The walk of the URLconf: every route with its methods, and what is wrong with the table of rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver

from registry.http.access import AdminRule, Rule

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What Django's ModelAdmin brings for every model, beside the actions of ours.
STANDARD = ("changelist", "add", "history", "delete", "change")


@dataclass(frozen=True)
class Route:
    """One path. `methods` is None for a function, which says nothing of them."""

    name: str
    path: str
    methods: tuple[str, ...] | None
    arguments: tuple[str, ...]
    model_admin: Any = None
    view: str = ""

    @property
    def of_api(self) -> bool:
        return self.path.startswith("api/")


def walk(patterns: Iterable[Any], prefix: str = "", space: str = "") -> Iterator[Route]:
    """Every route below these patterns."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from walk(pattern.url_patterns, path, inner)
        elif isinstance(pattern, URLPattern):
            view = pattern.callback
            kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
            yield Route(
                name=f"{space}{pattern.name}" if pattern.name else "",
                path=path,
                methods=_methods(kind) if kind else None,
                arguments=tuple(pattern.pattern.regex.groupindex),
                model_admin=getattr(view, "model_admin", None),
                view=getattr(view, "__name__", ""),
            )


def _methods(kind: Any) -> tuple[str, ...]:
    return tuple(m for m in METHODS if m.lower() in kind.http_method_names and hasattr(kind, m.lower()))


def problems(
    routes: Iterable[Route],
    rules: Mapping[tuple[str, str], Rule],
    admin_rules: Mapping[str, AdminRule],
    registered: Mapping[type, Any] | None = None,
) -> list[str]:
    """What the tables miss, and what they hold that is nowhere."""
    found, seen, names = [], set(), set()
    for route in routes:
        if route.model_admin is not None:
            found += _of_admin(route, admin_rules)
            continue
        if not route.name:
            if not (route.path.startswith("admin/") and route.view == "catch_all_view"):
                found.append(f"{route.path} has no name, so no rule can be found for it")
            continue
        if route.name in names:
            found.append(f"{route.name} names two routes")
        names.add(route.name)
        methods = route.methods or tuple(method for name, method in rules if name == route.name)
        if not methods:
            found.append(f"{route.name} ({route.path}) has no rule")
        for method in methods:
            seen.add((route.name, method))
            if (route.name, method) not in rules:
                found.append(f"{method} {route.name} ({route.path}) has no rule")
    found += [f"the rule of {method} {name} is of no route" for name, method in sorted(set(rules) - seen)]
    models = {model._meta.label for model in (admin.site._registry if registered is None else registered)}  # type: ignore[attr-defined]
    found += [f"the admin of {label} has no rule" for label in sorted(models - set(admin_rules))]
    found += [f"the admin rule of {label} is of no page" for label in sorted(set(admin_rules) - models)]
    return found


def _of_admin(route: Route, rules: Mapping[str, AdminRule]) -> list[str]:
    meta = route.model_admin.model._meta
    action = route.name.removeprefix(f"admin:{meta.app_label}_{meta.model_name}_")
    rule = rules.get(meta.label)
    if rule is None:
        return [f"{route.path} is the admin's, and {meta.label} has no rule there"]
    if not route.name or action in STANDARD or action in rule.actions:
        return []
    return [f"{route.path} is an action of the admin of {meta.label} without a rule"]
