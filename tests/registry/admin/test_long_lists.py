"""Lists that grow for ever: a page of one is read along an index, whatever the number of rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.registry.admin.furnished import administrator, page

GROWING = [
    "registry.Event",
    "registry.Delivery",
    "registry.ModelVersion",
    "lifecycle.Promotion",
    "lifecycle.Waiver",
]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The plan's nodes, but for what is computed for each row that is shown."""
    below = [each for each in plan.get("Plans", []) if each.get("Parent Relationship") != "SubPlan"]
    return [plan, *(node for each in below for node in nodes(each))]


@pytest.mark.parametrize("label", GROWING)
def test_a_page_is_read_along_an_index(db: None, label: str) -> None:
    client = Client()
    client.force_login(administrator(), backend="django.contrib.auth.backends.ModelBackend")
    table = label.lower().replace(".", "_")
    with CaptureQueriesContext(connection) as seen:
        assert client.get(page(label, "changelist")).status_code == 200
    rows = [q["sql"] for q in seen if f'FROM "{table}"' in q["sql"] and "ORDER BY" in q["sql"]]
    assert rows
    with connection.cursor() as cursor:
        # The tables are all but empty here: what is left is what the planner takes when they are not.
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off"
        )
        cursor.execute("SET LOCAL enable_mergejoin = off; SET LOCAL enable_incremental_sort = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {rows[-1]}")
        kinds = {node["Node Type"] for node in nodes(cursor.fetchone()[0][0]["Plan"])}
    assert not kinds & {"Sort", "Incremental Sort", "Aggregate", "Unique", "Hash Join"}, kinds
