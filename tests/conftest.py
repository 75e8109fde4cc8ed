"""Fixtures that every test file shares."""

import os
import pathlib

import pytest
import torch

from harness import assert_one_line_error, run
from random_models import config, save_random_model

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


@pytest.fixture(scope="session")
def isas(stocha, tmp_path_factory) -> list[str]:
    """The instruction sets of this machine, as STOCHA_ISA names them, slowest first."""
    folder = tmp_path_factory.mktemp("isas")
    save_random_model(config("llama", head_dim=8), torch.float32, folder)
    command = [stocha, "logits", folder, "--ids", "1", "--output", folder / "logits.safetensors"]
    found = []
    for isa in ("scalar", "avx2", "avxvnni", "avx512", "amx", "neon"):
        result = run(*command, env=os.environ | {"STOCHA_ISA": isa})
        if result.returncode == 0:
            found.append(isa)
        else:
            assert_one_line_error(result, "STOCHA_ISA", isa, "not available on this machine")
    assert found[0] == "scalar"
    return found


@pytest.fixture(scope="session")
def smollm2(repo) -> pathlib.Path:
    """SmolLM2-135M-Instruct as scripts/get-smollm2 leaves it: a model directory, and its GGUF in it."""
    named = os.environ.get("STOCHA_SMOLLM2")
    places = [named] if named else [f"{top}models/SmolLM2-135M-Instruct" for top in ("build/", "")]
    for place in places:
        if (repo / place / "config.json").is_file():
            return repo / place
    pytest.skip(f"no {' nor '.join(places)}: run scripts/get-smollm2 {places[0]} (needs the network)")
