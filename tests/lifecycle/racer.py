"""A process of racing threads, each of which applies one promotion when the starting lock opens.

Reads `{"rounds": [{"lock": int, "calls": [promotion id, ...], "by": user id}]}` from standard input and prints
one JSON list of outcomes a round.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from lifecycle.promotions import apply  # noqa: E402
from registry.errors import DomainError  # noqa: E402
from registry.models import Principal, User  # noqa: E402


def call(promotion_id: str, lock: int, by: str) -> str:
    """Wait at the barrier, apply, and say what came of it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock_shared(%s)", [lock])
        return str(apply(promotion_id=promotion_id, by=Principal(user=User.objects.get(pk=by))).state)
    except DomainError as refusal:
        return f"refused {refusal.code}"
    except Exception as error:
        return f"ERROR {type(error).__name__}: {error}"
    finally:
        connection.close()


def main() -> None:
    rounds: list[dict[str, Any]] = json.load(sys.stdin)["rounds"]
    for race in rounds:
        with ThreadPoolExecutor(max_workers=len(race["calls"])) as threads:
            made = [threads.submit(call, promotion, race["lock"], race["by"]) for promotion in race["calls"]]
            print(json.dumps([future.result() for future in made]), flush=True)


if __name__ == "__main__":
    main()
