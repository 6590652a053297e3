"""One transfer in a process of its own, timed inside; prints seconds and, for ours, how far its memory grew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

import assay
from assay.digest import scan, sha256_file
from assay.errors import StoreUnreachable
from assay.transfer import store, upload
from assay.transfer.progress import Silence

BUCKET = "assay-attachments"
RANGE = 16 * 2**20
MEBIBYTE = bytes(2**20)
WARMED = 5 * 1024


def seconds(act: Callable[[], object]) -> float:
    rest()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def rest() -> None:
    """Begin every transfer alike: nothing waits to be written to the disk, and the memory for it is at hand (a
    virtual machine gives what lies idle back to its host, and whoever takes it again pays)."""
    os.sync()
    with tempfile.TemporaryFile(dir=os.environ["ASSAY_HOME"], buffering=0) as file:
        for _ in range(WARMED):
            file.write(MEBIBYTE)


def with_boto3(large: str, out: str, small: str) -> dict[str, float]:
    """Multipart as boto3 does it, with the part size and the number of threads that we use."""
    s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=16,
        ),
    )
    how = TransferConfig(multipart_chunksize=16 * 2**20, max_concurrency=8)
    told = {"upload": seconds(lambda: s3.upload_file(large, BUCKET, "boto3", Config=how))}
    told["download"] = seconds(lambda: s3.download_file(BUCKET, "boto3", out, Config=how))
    size = Path(large).stat().st_size

    def read(start: int) -> None:
        window = f"bytes={start}-{min(start + RANGE, size) - 1}"
        s3.get_object(Bucket=BUCKET, Key="boto3", Range=window)["Body"].read()

    def read_all() -> None:
        with ThreadPoolExecutor(3) as pool:
            deque(pool.map(read, range(0, size, RANGE)), maxlen=0)

    told["read"] = seconds(read_all)
    s3.delete_object(Bucket=BUCKET, Key="boto3")
    Path(out).unlink()
    files = sorted(Path(small).iterdir())

    def one_after_another() -> None:
        for file in files:
            s3.put_object(Bucket=BUCKET, Key=f"small/{file.name}", Body=file.read_bytes())

    told["small"] = seconds(one_after_another)
    return told


def with_s5cmd(large: str, out: str) -> dict[str, float]:
    program = Path(sys.executable).with_name("s5cmd")
    base = [str(program), "--endpoint-url", os.environ["S3_ENDPOINT_URL"]]

    def run(*arguments: str) -> None:
        subprocess.run([*base, *arguments], check=True, stdout=subprocess.DEVNULL)

    told = {"upload": seconds(lambda: run("cp", large, f"s3://{BUCKET}/s5cmd"))}
    told["download"] = seconds(lambda: run("cp", f"s3://{BUCKET}/s5cmd", out))
    told["verified"] = told["download"] + seconds(lambda: sha256_file(Path(out)))
    run("rm", f"s3://{BUCKET}/s5cmd")
    Path(out).unlink()
    return told


def push(folder: str, model: str) -> dict[str, float]:
    with assay.Client() as client:
        client.whoami()
        rest()
        before, began = _memory_now(), time.perf_counter()
        sent = upload.send(client._connection, model.partition("/")[0], scan(folder), Silence())
        arrived = time.perf_counter() - began
        namespace, _, name = model.partition("/")
        path = f"/api/v1/namespaces/{namespace}/models/{name}/versions"
        client.wait_until_ready(client.post(path, {"upload": sent["id"]}))
        ready = time.perf_counter() - began
        return {"sent": arrived, "ready": ready, "grown_mib": _memory_peak() - before}


def pull(ref: str, out: str) -> dict[str, float]:
    """Once the scan, which reads the same bytes on the same machine, is over."""
    with assay.Client() as client:
        waited = time.monotonic()
        while not client.version(ref).get("safety") and time.monotonic() - waited < 300:
            time.sleep(0.2)
        before = _memory_now()
        took = seconds(lambda: client.pull(ref, out))
        grown = _memory_peak() - before
    _remove(out)
    return {"seconds": took, "grown_mib": grown}


def stream(folder: str, out: str) -> dict[str, float]:
    """As from where the store cannot be reached."""

    def unreachable(*_: Any, **__: Any) -> Any:
        raise StoreUnreachable("The object store is not asked here.")

    store.Store.put = store.Store.get = unreachable  # type: ignore[method-assign]
    with (Path(folder) / "weights.bin").open("r+b") as file:
        file.write(os.urandom(64))
    with assay.Client() as client:
        before, began = _memory_now(), time.perf_counter()
        sent = upload.send(client._connection, "bench", scan(folder), Silence())
        up = time.perf_counter() - began
        body = {"upload": sent["id"]}
        version = client.post("/api/v1/namespaces/bench/models/streamed/versions", body)
        version = client.wait_until_ready(version)
        down = seconds(lambda: client.pull(version["reference"], out))
        grown = _memory_peak() - before
    _remove(out)
    return {"up": up, "down": down, "grown_mib": grown}


def _memory_now() -> float:
    """What this process holds, in MiB; its peak begins anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _memory_peak() -> float:
    """The most that it has held since, in MiB. (getrusage would tell of what ran before the program did.)"""
    return _status("VmHWM")


def _status(field: str) -> float:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


def _remove(folder: str) -> None:
    for file in Path(folder).iterdir():
        file.unlink()
    Path(folder).rmdir()


WAYS: dict[str, Callable[..., dict[str, float]]] = {
    "boto3": with_boto3,
    "s5cmd": with_s5cmd,
    "push": push,
    "pull": pull,
    "stream": stream,
}

if __name__ == "__main__":
    way, *arguments = sys.argv[1:]
    print(json.dumps(WAYS[way](*arguments)))
