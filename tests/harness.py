"""Running the executables, and what every refusal of bad input must look like."""

import pathlib
import subprocess


def run(program, *args, input=None, timeout=60, **kwargs) -> subprocess.CompletedProcess:
    """Runs `program` (a path) with `args`; stdout and stderr are captured as text.

    input: text for its standard input, which is empty otherwise. The exit code is not checked.
    """
    return subprocess.run(
        [str(program), *map(str, args)],
        input="" if input is None else input,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        **kwargs,
    )


def run_ok(program, *args, **kwargs) -> str:
    """As run(), for a command that must succeed; returns its stdout."""
    result = run(program, *args, **kwargs)
    assert result.returncode == 0, f"{result.args} left {result.returncode}: {result.stderr}"
    return result.stdout


def assert_one_line_error(result: subprocess.CompletedProcess, *needles: str, code: int = 1):
    """The command failed as it should: `code`, and on stderr one line "PROGRAM: error: ...".

    needles: what the line must name (the file, the key, the value ...).
    """
    lines = result.stderr.splitlines()
    assert result.returncode == code, f"exit code {result.returncode}, stderr: {result.stderr!r}"
    assert len(lines) == 1 and result.stderr.endswith("\n"), f"not one line: {result.stderr!r}"
    assert lines[0].startswith(f"{pathlib.Path(result.args[0]).name}: error: "), lines[0]
    for needle in needles:
        assert str(needle) in lines[0], f"{needle!r} not in {lines[0]!r}"
