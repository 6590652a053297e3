"""A process of racing clients, whose connections to the database are killed while they call.

Reads one JSON round a line from standard input: `{"calls": [{"id", "token", "path", "body", "key"}, ...]}`, lets its
calls go together, and prints one JSON list of outcomes. A client that gets no answer asks again with the same key, as
a client should. A call without a path is the worker's: it settles the promotions that are open in a model.

With `without-the-lock` as its argument the model's lock is left out: the bug that the race has to find.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import InterfaceError, OperationalError, connection  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from lifecycle import promotions  # noqa: E402
from lifecycle.models import OPEN, Promotion  # noqa: E402
from lifecycle.promotions import settle  # noqa: E402
from registry.models import RegisteredModel  # noqa: E402

# Why the web answered 503 to this thread: it says so in its log only.
why = threading.local()
# A client that was answered 503, or that its first request is still being answered, asks again.
MOST_TRIES = 200
AGAIN = (503,)


def ask(call: dict[str, Any], start: threading.Barrier) -> dict[str, Any]:
    """Ask until there is an answer, and tell it: the status, the body, how often nothing came of it."""
    start.wait(timeout=60)
    lost: list[str] = []
    time.sleep(call["delay"])
    for _ in range(MOST_TRIES):
        try:
            if not call["path"]:
                settle_all(UUID(call["model"]))
                return {"id": call["id"], "status": 200, "body": {}, "lost": lost}
            client = APIClient()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {call['token']}")
            answer = client.post(
                call["path"], call["body"], format="json", headers={"Idempotency-Key": call["key"]}
            )
            body = answer.json()
            if answer.status_code not in AGAIN and body.get("code") != "key-in-flight":
                return {"id": call["id"], "status": answer.status_code, "body": body, "lost": lost}
            lost.append(f"{answer.status_code} {body.get('code')} {getattr(why, 'said', '')}".strip())
            why.said = ""
        except (OperationalError, InterfaceError) as error:
            lost.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        except Exception as error:
            return {"id": call["id"], "status": 500, "body": {"code": repr(error)[:300]}, "lost": lost}
        finally:
            connection.close()
        time.sleep(random.random() * 0.02)
    return {"id": call["id"], "status": 504, "body": {"code": "no-answer"}, "lost": lost}


class Listening(logging.Handler):
    """Keeps what was logged, by thread."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            why.said = str(record.exc_info[1]).partition("\n")[0]


def settle_all(model: UUID) -> None:
    """As the worker does, and repeats."""
    waiting = Promotion.objects.filter(version__model=model, state__in=OPEN)
    for promotion_id in list(waiting.values_list("pk", flat=True)):
        settle(promotion_id=promotion_id)


def unlocked(model_id: Any) -> RegisteredModel:
    """The bug: the model is read and not locked."""
    return RegisteredModel.objects.get(pk=model_id)


def main() -> None:
    logging.getLogger().handlers.clear()  # each lost connection would be told
    problems = logging.getLogger("registry.http.problems")
    problems.addHandler(Listening())
    problems.propagate = False
    setup_test_environment()
    for line in sys.stdin:
        calls = json.loads(line)["calls"]
        start = threading.Barrier(len(calls))
        with ThreadPoolExecutor(max_workers=len(calls)) as threads:
            told = [future.result() for future in [threads.submit(ask, call, start) for call in calls]]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    if "without-the-lock" in sys.argv:
        with mock.patch.object(promotions, "lock_registered", unlocked):
            main()
    else:
        main()
