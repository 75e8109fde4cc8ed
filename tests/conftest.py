"""Fixtures that every test file shares."""

import os
import pathlib

import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> pathlib.Path:
    """The root of the source tree."""
    return REPO


@pytest.fixture(scope="session")
def build_dir() -> pathlib.Path:
    """Where the executables are: $STOCHA_BUILD_DIR, by default build/."""
    return pathlib.Path(os.environ.get("STOCHA_BUILD_DIR", REPO / "build")).resolve()


@pytest.fixture(scope="session")
def stocha(build_dir) -> pathlib.Path:
    """The built `stocha`."""
    program = build_dir / "stocha"
    assert program.is_file(), f"no {program}: build it first (scripts/setup), or set STOCHA_BUILD_DIR"
    return program
