"""The digest of the image that this process runs in, asked of Kubernetes. The downward API does not have it.

The pod's service account needs to be allowed to `get` pods in its namespace; without that, or outside of a cluster,
nothing is known. ASSAY_IMAGE_DIGEST, set by the pipeline, goes before.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 3.0
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_BYTES = 4 << 20


def image_digest(
    account: Path = ACCOUNT, environ: Mapping[str, str] = os.environ, own: str | None = None
) -> str:
    """`sha256:<hex>`, empty when it cannot be known. `own` is what the kernel says of this process's container."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        if not host or not (account / "token").is_file():
            return ""
        status = _pod(host, int(port), account, environ.get("HOSTNAME") or socket.gethostname())["status"]
        return _digest(status["containerStatuses"], own if own is not None else _container())
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return ""


def _pod(host: str, port: int, account: Path, name: str) -> dict[str, Any]:
    """Raises OSError, ValueError, HTTPException."""
    trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
    connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=trusted)
    namespace = (account / "namespace").read_text(encoding="utf-8").strip()
    token = (account / "token").read_text(encoding="utf-8").strip()
    try:
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
        connection.request(
            "GET", path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"Kubernetes answered {answer.status}")
        found: dict[str, Any] = json.loads(answer.read(_MOST_BYTES))
        return found
    finally:
        connection.close()


def _digest(containers: list[dict[str, Any]], own: str) -> str:
    """Of the only container, or of the one whose id the kernel names; none is guessed."""
    mine = [each for each in containers if (told := _id(each)) and told in own]
    chosen = mine or containers
    if len(chosen) != 1:
        return ""
    found = _DIGEST.search(str(chosen[0].get("imageID") or ""))
    return found[0] if found else ""


def _id(container: Mapping[str, Any]) -> str:
    return str(container.get("containerID") or "").rpartition("/")[2]


def _container() -> str:
    """Where the kernel names the container: its control group, its mounts."""
    texts = []
    for file in ("/proc/self/cgroup", "/proc/self/mountinfo"):
        try:
            texts.append(Path(file).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)
