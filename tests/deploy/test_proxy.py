"""The proxy passes presigned links to the store and nothing else, and shows nothing of it in a page."""

from __future__ import annotations

import pytest

from tests.deploy.compose import ROOT, services
from tests.deploy.nginx import Configuration, mapped, parse

PROXY = Configuration(ROOT / "deploy" / "proxy" / "nginx.conf")
WEB, STORE = 8000, 9000
SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature=" + "0f" * 32
PART = f"partNumber=1&uploadId=abc&{SIGNATURE}"
KEY = "/assay-hot/staging/5f/0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_presigned_link_is_passed_on(method: str) -> None:
    headers = {"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
    assert PROXY.answer(STORE, KEY, method=method, args=PART, headers=headers) is None
    assert (
        PROXY.answer(
            STORE, KEY, method=method, args=PART, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        )
        is None
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        {"X-Amz-Content-Sha256": "streaming-unsigned-payload-trailer"},
        {"x-amz-content-sha256": "UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        {"content-encoding": "aws-chunked"},
        {"content-encoding": "gzip, AWS-chunked"},
        {"x-amz-trailer": "x-amz-checksum-crc32"},
    ],
)
@pytest.mark.parametrize("args", [PART, ""])
def test_streaming_signatures_and_trailers_are_refused(headers: dict[str, str], args: str) -> None:
    assert PROXY.answer(STORE, KEY, method="PUT", args=args, headers=headers) == 403


@pytest.mark.parametrize(
    "args",
    [
        "",
        "uploads",
        "list-type=2",
        "X-Amz-Signature=",
        "X-Amz-Signature=zz",
        "prefix=X-Amz-Signature=00",
        "x-amz-signature=00",
    ],
)
def test_what_is_not_presigned_is_refused(args: str) -> None:
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=known/20261123/us-east-1/s3/aws4_request"}
    assert PROXY.answer(STORE, KEY, args=args) == 403
    assert PROXY.answer(STORE, KEY, method="PUT", args=args, headers=signed) == 403


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(method: str) -> None:
    assert PROXY.answer(STORE, KEY, method=method, args=SIGNATURE) == 405


def test_the_stores_own_administration_is_refused() -> None:
    assert PROXY.answer(STORE, "/minio/admin/v3/info", args=SIGNATURE) == 403


def test_what_the_store_serves_is_saved_and_never_shown() -> None:
    server = PROXY.server(STORE)
    headers = {
        d.arguments[0]: d.arguments[1] for d in server.all("add_header") if d.arguments[-1] == "always"
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Content-Disposition"] == "$disposition"
    (table,) = [m for m in PROXY.http.all("map") if m.arguments[1] == "$disposition"]
    assert mapped(table, "inline") == mapped(table, "") == "attachment"
    assert mapped(table, 'attachment; filename="a"') == "$upstream_http_content_disposition"
    # A location that added a header of its own would drop all of these.
    assert not [d for location in server.all("location") for d in location.all("add_header")]
    hidden = {d.arguments[0] for d in server.all("proxy_hide_header")}
    assert {"Content-Disposition", "Content-Security-Policy", "Access-Control-Allow-Origin"} <= hidden


def test_a_link_carries_no_other_identity_to_the_store() -> None:
    headers = {d.arguments[0]: d.arguments[1] for d in PROXY.location(STORE, KEY).all("proxy_set_header")}
    assert headers == {"Host": "$http_host", "Connection": "", "Authorization": "", "Cookie": ""}


def test_bodies_are_streamed_where_they_are_large_and_bounded_elsewhere() -> None:
    content = PROXY.location(WEB, "/api/v1/uploads/0b7c/files/3/content")
    assert content.all("client_max_body_size")[0].arguments == ["0"]
    assert content.all("proxy_request_buffering")[0].arguments == ["off"]
    assert PROXY.location(WEB, "/api/v1/namespaces").arguments == ["/"]
    assert PROXY.server(WEB).all("client_max_body_size")[0].arguments == ["10m"]
    assert PROXY.server(STORE).all("proxy_request_buffering")[0].arguments == ["off"]


def test_links_are_not_written_to_the_log() -> None:
    (logged,) = PROXY.http.all("log_format")
    assert "$request " not in " ".join(logged.arguments)
    assert not {"$request_uri", "$args", "$query_string", "$http_authorization"} & set(
        " ".join(logged.arguments).replace('"', " ").split()
    )


def test_it_listens_where_compose_publishes_and_checks() -> None:
    listening = {s.all("listen")[0].arguments[0].rpartition(":")[2] for s in PROXY.http.all("server")}
    published = {port.rpartition(":")[2] for port in services()["proxy"].config["ports"]}
    health = services()["proxy"].health
    assert health is not None
    assert published == {"8000", "9000"}
    assert listening == {*published, "8081"}
    assert health[-1] == "http://127.0.0.1:8081/"
    assert PROXY.answer(8081, "/") == 204


def test_it_passes_on_to_services_that_exist() -> None:
    targets = {d.arguments[1] for d in PROXY.http.walk() if d.name == "set"}
    assert targets == {"http://web:8000", "http://store:9000"}


@pytest.mark.parametrize("text", ["http {", "http { a b }", "}", "a b"])
def test_a_file_that_does_not_close_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"ends inside|unexpected"):
        parse(text)
