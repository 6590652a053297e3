"""The settings in the code, in .env.example and in docker-compose.yml are the same ones."""

from __future__ import annotations

import ast
import re

from tests.architecture.tree import APPS, ROOT, modules, tree
from tests.deploy.compose import OURS, defaults, services

READERS = {"setting", "required", "switch", "names", "one_of"}
PREFIXES = ("ASSAY_", "DATABASE_", "REDIS_", "S3_")
# Used by docker compose itself, or by the image.
OF_COMPOSE = {"COMPOSE_PROFILES", "ASSAY_BIND", "ASSAY_WEB_PORT", "ASSAY_STORE_PORT", "ASSAY_IMAGE"}
# Set where the process is started, not by an operator of the containers.
NOT_IN_COMPOSE = {"ASSAY_HOME", "ASSAY_SETTINGS", "ASSAY_STATIC_ROOT", "ASSAY_SECRET_KEY_FALLBACKS"}
# Compose's web keeps a pool; elsewhere none is kept. The addresses have no default in the code.
DIFFERENT = {"ASSAY_DB_POOL", "S3_ENDPOINT_URL", "S3_PUBLIC_ENDPOINT_URL", "ASSAY_HTTPS"}


def read_in_code() -> dict[str, str | None]:
    """Every setting that the server's code reads, with its literal default."""
    found: dict[str, str | None] = {}
    for path in modules(*APPS, "manage.py"):
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            name = node.args[0].value
            function = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if not (isinstance(name, str) and name.startswith(PREFIXES)):
                continue
            if function in READERS or ast.unparse(node.func) in {
                "os.environ.get",
                "os.getenv",
                "environ.get",
            }:
                literal = (
                    node.args[1] if len(node.args) > 1 and function not in {"required", "switch"} else None
                )
                found[name] = (
                    literal.value
                    if isinstance(literal, ast.Constant) and isinstance(literal.value, str)
                    else None
                )
    return found


def documented() -> dict[str, str | None]:
    """Every setting in .env.example; None for one that is commented out."""
    lines = re.findall(r"(?m)^(# )?([A-Z][A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text())
    return {name: None if comment else value for comment, name, value in lines}


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert len(read_in_code()) > 20
    assert set(documented()) - OF_COMPOSE == set(read_in_code())


def test_the_documented_defaults_are_the_codes() -> None:
    code = read_in_code()
    differ = {
        name: (value, code[name])
        for name, value in documented().items()
        if value is not None and code.get(name) is not None and value != code[name]
    }
    assert set(differ) <= DIFFERENT, differ


def test_the_documented_values_are_the_compose_files_defaults() -> None:
    values = documented()
    own = defaults()
    assert set(own) <= set(values)
    assert {name: values[name] for name in own} == own
    assert {name for name, value in values.items() if value is not None} - {"COMPOSE_PROFILES"} == set(own)


def test_every_setting_reaches_the_containers() -> None:
    given = {
        name.removesuffix("_FILE") if name != "ASSAY_BEAT_FILE" else name
        for s in OURS
        for name in services()[s].environment
    }
    assert set(documented()) - OF_COMPOSE - NOT_IN_COMPOSE == given
