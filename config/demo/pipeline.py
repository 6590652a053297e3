"""The example's pipeline (examples/pipeline), as the demonstration runs it: in one process, and asking for nothing.

Here people ask for stages, so of its steps only the measuring and the integration check are taken. A process of its
own: `python -m config.demo.pipeline` with examples/pipeline on PYTHONPATH, settings by environment as the example's.
"""

from __future__ import annotations

import os
from pathlib import Path

from pipeline import FAILED, NotRun, Pipeline, say
from receiver import Receiver, Spool, serve

import assay

STEPS = ["evaluate", "integration"]


def main() -> None:
    """Serve until killed."""
    client, held_out = assay.Client(), Path(os.environ["PIPELINE_HELD_OUT"])

    def start(version: str, event: str) -> int:
        try:
            return Pipeline(client, client, held_out, event).run(version, STEPS)
        except (assay.AssayError, NotRun) as problem:
            say(f"{version}: {problem}")
            return FAILED

    secret = Path(os.environ["PIPELINE_SECRET_FILE"]).read_text()
    spool = Spool(Path(os.environ["PIPELINE_SPOOL"]))
    serve(os.environ["PIPELINE_LISTEN"], Receiver(secret, spool, start, retry=1.0))


if __name__ == "__main__":
    main()
