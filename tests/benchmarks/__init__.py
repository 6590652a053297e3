"""Benchmarks: `make bench-NAME` runs the module NAME, which prints its figures through `tests.figures`."""
