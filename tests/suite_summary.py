"""pytest plugin: what the whole suite skipped and its ten slowest tests, ctest's among them, above the closing line.

Loaded by scripts/test (-p suite_summary). ctest's part comes from the JUnit file named by STOCHA_CTEST_XML.
pytest's own skips are pytest's to tell (-rs).
"""

import collections
import os
import re
import xml.etree.ElementTree as ElementTree

SKIP = re.compile(r"^\S+:\d+: Skipped\n(.*)$", re.MULTILINE)  # what GTEST_SKIP() << "..." prints


def ctest_cases(path):
    """(name, seconds, why it was skipped or None) of every test in a JUnit file that ctest wrote."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        said = SKIP.search(case.findtext("system-out") or "")
        why = None if case.find("skipped") is None else said[1] if said else "no reason given"
        yield case.get("name"), float(case.get("time", 0)), why


def pytest_terminal_summary(terminalreporter):
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "nodeid"):
                seconds["pytest " + report.nodeid] += report.duration
    path = os.environ.get("STOCHA_CTEST_XML")
    cases = list(ctest_cases(path)) if path else []
    seconds.update({"ctest " + name: time for name, time, _ in cases})
    for why, count in collections.Counter(why for _, _, why in cases if why).items():
        terminalreporter.write_line(f"SKIPPED [{count}] ctest: {why}")
    terminalreporter.section(f"ten slowest of {len(seconds)} tests, ctest and pytest")
    for name, value in seconds.most_common(10):
        terminalreporter.write_line(f"{value:7.2f} s  {name}")
