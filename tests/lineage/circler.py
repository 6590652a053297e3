"""A process that inserts edges, one transaction each, and says how many were taken and how many refused as circles.

python -m tests.lineage.circler < pairs.json
"""

from __future__ import annotations

import json
import os
import sys

import psycopg

INSERT = "INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at) VALUES (%s, %s, 'input', '', now())"


def main() -> None:
    taken, refused = 0, 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as session:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for pair in json.loads(sys.stdin.readline()):
            try:
                session.execute(INSERT, pair)
                taken += 1
            except psycopg.errors.UniqueViolation:
                pass  # another process was first
            except psycopg.errors.CheckViolation as error:
                if error.diag.constraint_name != "no_cycle":
                    raise
                refused += 1
    sys.stdout.write(json.dumps([taken, refused]) + "\n")


if __name__ == "__main__":
    main()
