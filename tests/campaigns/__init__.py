"""Campaigns: `make campaign-NAME` runs the module NAME, which injects faults and counts what went wrong.

It prints that, and whether the bug it seeded itself was caught, through `tests.figures`.
"""
