"""What of an event is not kept: values of variables that nobody listed, and what looks like a secret.

The tools that send events know nothing of our client's redaction, so it is done here, before anything is stored.
"""

from __future__ import annotations

import re
from typing import Any

REDACTED = "[redacted]"
# Of the environment, only these values are kept: what changes a result, and what a scheduler calls its run.
VARIABLES = frozenset(
    {
        "AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_DAG_RUN_ID", "AIRFLOW_CTX_EXECUTION_DATE", "AIRFLOW_CTX_TASK_ID",
        "AIRFLOW_CTX_TRY_NUMBER", "ASSAY_IMAGE_DIGEST", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES",
        "MKL_NUM_THREADS", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED",
        "RANK", "TF_DETERMINISTIC_OPS", "WORLD_SIZE",
    }
)  # fmt: skip
_SECRET = re.compile(
    r"passw|passphrase|(^|[_.\-])pwd($|[_.\-])|secret|credential|token$|authorization|cookie"
    r"|(api|access|private|account|signing|encryption|auth|storage|shared)[_.\-]?key",
    re.IGNORECASE,
)
# A user with a password, or a token as the user; `git@` of ssh is no secret.
_USER_INFO = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)(?!git@)[^\s/?#'\"@]*@")
_QUERY = re.compile(
    r"(?i)([?&;][^=&;\s#]*(?:token|key|secret|sig|signature|password|passwd|pwd|credential|auth)[^=&;\s#]*=)"
    r"[^&;\s#'\"]+"
)


def without_secrets(event: dict[str, Any]) -> dict[str, Any]:
    """The event as it is kept: the same for the same event, whenever it comes."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        if name == "environmentVariables":
            return [_variable(each) for each in value]
        return [_named(each) for each in value]
    if isinstance(value, str):
        return REDACTED if _SECRET.search(name) else _text(value)
    return value


def _variable(given: Any) -> Any:
    if not isinstance(given, dict):
        return REDACTED
    name = given.get("name")
    listed = isinstance(name, str) and name in VARIABLES
    return {"name": name, "value": given.get("value")} if listed else {"name": name}


def _named(given: Any) -> Any:
    """A parameter as it stands in a list: its name beside its value."""
    if isinstance(given, dict) and "value" in given:
        name = given.get("key") or given.get("name")
        if isinstance(name, str) and _SECRET.search(name):
            given = {**given, "value": REDACTED}
    return _clean("", given)


def _text(text: str) -> str:
    return _QUERY.sub(rf"\1{REDACTED}", _USER_INFO.sub(r"\1", text))
