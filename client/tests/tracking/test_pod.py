"""The image digest, asked of a Kubernetes API: a small HTTPS server with a certificate of its own authority."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assay.tracking import environment, pod

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MAIN = {"name": "main", "containerID": "containerd://11aa", "imageID": f"docker-pullable://x/y@{DIGEST}"}
SIDE = {"name": "side", "containerID": "containerd://22bb", "imageID": f"x/side@{OTHER}"}


class Api(ThreadingHTTPServer):
    """Answers for the pod trainer-1 in the namespace ml, to who has the token."""

    containers: list[dict[str, Any]]
    account: Path

    @property
    def environ(self) -> dict[str, str]:
        port = str(self.server_address[1])
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": port,
            "HOSTNAME": "trainer-1",
        }


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        right = (
            self.path == "/api/v1/namespaces/ml/pods/trainer-1"
            and self.headers["Authorization"] == "Bearer t0ken"
        )
        body = json.dumps({"status": {"containerStatuses": self.server.containers}} if right else {}).encode()
        self.send_response(200 if right else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("t0ken")
    (account / "namespace").write_text("ml\n")
    key = tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(key), "-out", str(account / "ca.crt"), "-days", "2", "-subj", "/CN=api",
               "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    server = Api(("127.0.0.1", 0), Handler)
    server.containers, server.account = [MAIN], account
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(account / "ca.crt", key)
    server.socket = shown.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_digest_of_the_only_container(api: Api) -> None:
    assert pod.image_digest(api.account, api.environ, own="") == DIGEST


def test_of_several_containers_the_own_one_and_none_is_guessed(api: Api) -> None:
    api.containers = [SIDE, MAIN]
    assert pod.image_digest(api.account, api.environ, own="0::/kubepods/pod1/cri-11aa.scope") == DIGEST
    assert pod.image_digest(api.account, api.environ, own="0::/") == ""


def test_nothing_is_known_without_the_right_or_the_trust(api: Api, tmp_path: Path) -> None:
    assert pod.image_digest(api.account, {}, own="") == ""
    assert pod.image_digest(tmp_path / "none", api.environ, own="") == ""
    (api.account / "token").write_text("another")
    assert pod.image_digest(api.account, api.environ, own="") == ""


def test_another_authority_is_not_trusted(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(tmp_path / "k"), "-out", str(api.account / "ca.crt"), "-subj", "/CN=x"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert pod.image_digest(api.account, api.environ, own="") == ""


def test_what_the_pipeline_says_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_IMAGE_DIGEST", OTHER)
    assert environment.facts()["image_digest"] == OTHER
