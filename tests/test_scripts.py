"""The shell scripts, as text."""

import re
import subprocess


def test_no_script_pipes_into_what_stops_reading(repo):
    """head and grep -q may end before the writer, whom SIGPIPE then ends, and pipefail the script: on a busy machine only."""
    scripts = [path for path in [*(repo / "scripts").iterdir(), *(repo / "bench").iterdir()]
               if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")]
    assert len(scripts) >= 8
    for path in scripts:
        for line in path.read_text().splitlines():
            assert not re.search(r"\|\s*(head|grep (-\w+ )*-\w*q)\b", line.partition(" # ")[0]), f"{path.name}: {line}"


def test_lint_refuses_flags_that_it_does_not_know(repo):
    result = subprocess.run([repo / "scripts/lint", "--fix"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "scripts/lint: got '--fix', expected nothing or --format\n"
