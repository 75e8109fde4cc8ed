"""The shell scripts, as text."""

import re


def test_no_script_pipes_into_what_stops_reading(repo):
    """head and grep -q may end before the writer, whom SIGPIPE then ends, and pipefail the script: on a busy machine only."""
    scripts = [path for path in [*(repo / "scripts").iterdir(), *(repo / "bench").iterdir()]
               if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")]
    assert len(scripts) >= 8
    for path in scripts:
        for line in path.read_text().splitlines():
            assert not re.search(r"\|\s*(head|grep (-\w+ )*-\w*q)\b", line.partition(" # ")[0]), f"{path.name}: {line}"
