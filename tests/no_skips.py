"""A pytest plugin: a run that skipped a test, or expected one to fail, is red.

A skipped test looks like a passed one in every summary; here each test has what it needs or fails.
"""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter

UNWANTED = ("skipped", "xfailed", "xpassed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a green exit status red when anything was skipped (in the xdist controller, not its workers)."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter) or session.config.option.collectonly:
        return
    counts = {name: len(reporter.stats.get(name, [])) for name in UNWANTED}
    if any(counts.values()) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say why the run is red."""
    count = sum(len(terminalreporter.stats.get(name, [])) for name in UNWANTED)
    if count:
        terminalreporter.write_line(f"{count} skipped or expected to fail: not allowed here.", red=True)
