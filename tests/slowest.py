"""pytest plugin: the ten slowest tests of the whole suite, ctest's among them, above the closing line.

Loaded by scripts/test (-p slowest). ctest's times come from the JUnit file named by STOCHA_CTEST_XML.
"""

import os
import xml.etree.ElementTree as ElementTree


def ctest_seconds(path):
    """(seconds, name) of every test in a JUnit file that ctest wrote."""
    cases = ElementTree.parse(path).getroot().iter("testcase")
    return [(float(case.get("time", 0)), "ctest " + case.get("name")) for case in cases]


def pytest_terminal_summary(terminalreporter):
    seconds = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "nodeid"):
                seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
    rows = [(value, "pytest " + name) for name, value in seconds.items()]
    path = os.environ.get("STOCHA_CTEST_XML")
    if path:
        rows += ctest_seconds(path)
    terminalreporter.section(f"ten slowest of {len(rows)} tests, ctest and pytest")
    for value, name in sorted(rows, reverse=True)[:10]:
        terminalreporter.write_line(f"{value:7.2f} s  {name}")
