#!/usr/bin/env python
"""Django's command line, and the supervisor's (`up`, `demo`), for Assay."""

import os
import sys

from config.environment import load_run_file

# These start the services themselves: nothing is there to connect to when they are imported.
STARTS_SERVICES = {"up", "demo"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if len(sys.argv) > 1 and sys.argv[1] in STARTS_SERVICES:
        os.environ["ASSAY_SETTINGS"] = "build"
    elif os.environ.get("ASSAY_SETTINGS") != "build":
        load_run_file()
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings come first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
