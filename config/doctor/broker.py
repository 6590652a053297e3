"""Checks of the broker: Redis or Valkey."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import redis
from django.conf import settings
from kombu import Connection

from config.doctor.findings import Check, Wrong, clock_skew, first_line

OLDEST = (6, 2)


def checks() -> Iterator[Check]:
    area = "broker"
    yield Check(area, "answers", _answers, vital=True)
    yield Check(area, "message there and back", _round_trip)
    yield Check(area, "keeps what it is given", _keeps)
    yield Check(area, "clock", _clock)


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3, socket_timeout=5)


def _answers() -> str:
    parts = urlsplit(settings.REDIS_URL)
    where = f"{parts.hostname}:{parts.port}"
    try:
        with _client() as client:
            info = client.info("server")
    except redis.AuthenticationError as error:
        raise Wrong(f"{where} refuses the password: {first_line(error)}", "Check REDIS_URL.") from error
    except redis.RedisError as error:
        raise Wrong(
            f"no answer at {where}: {first_line(error)}", "Is it running? Check REDIS_URL."
        ) from error
    assert isinstance(info, dict)  # noqa: S101 - the synchronous client returns values, whatever its types say
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise Wrong(f"version {version} is too old", "Assay needs Redis 6.2 or newer, or Valkey.")
    name = "Valkey" if "valkey_version" in info else "Redis"
    return f"{name} {info.get('valkey_version', version)}"


def _round_trip() -> str:
    name = f"assay-doctor-{uuid.uuid4().hex}"
    began = time.perf_counter()
    with Connection(settings.REDIS_URL, connect_timeout=3) as link, link.SimpleQueue(name) as queue:
        queue.put({"from": name})
        message = queue.get(timeout=5)
        message.ack()
        queue.queue.delete()
    if message.payload != {"from": name}:
        raise Wrong("another message came back than was sent", "Is the database shared with something else?")
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"


def _keeps() -> str:
    """A broker that evicts keys when memory runs short loses messages without a word."""
    with _client() as client:
        try:
            answer = client.config_get("maxmemory-policy")
        except redis.ResponseError:
            return "not told (CONFIG is refused)"
    policy = str(answer.get("maxmemory-policy", "")) if isinstance(answer, dict) else ""
    if policy and policy != "noeviction":
        raise Wrong(f"maxmemory-policy is {policy}: messages can vanish", "Set maxmemory-policy noeviction.")
    return policy or "not told"


def _clock() -> str:
    before = time.time()
    with _client() as client:
        seconds, micros = client.time()
    return clock_skew((before + time.time()) / 2, seconds + micros / 1e6)
