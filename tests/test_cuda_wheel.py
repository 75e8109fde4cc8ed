"""The build configures and links against a CUDA wheel of torch without a CUDA toolkit.

A mock of the wheel: the real headers, and libraries that are empty but for an undefined symbol in the
CUDA ones, as the real ones have many that only a machine with CUDA can resolve.
"""

import subprocess

import pytest
import torch

from pathlib import Path


def make_mock_wheel(folder, version, cuda):
    """A folder that looks like site-packages/torch to CMake."""
    (folder / "lib").mkdir(parents=True)
    (folder / "include").symlink_to(Path(torch.__file__).parent / "include")
    (folder / "version.py").write_text(f"__version__ = '{version}'\n")
    names = ["c10", "torch_cpu", "torch"] + (["c10_cuda", "torch_cuda"] if cuda else [])
    for name in names:
        source = folder / f"{name}.c"
        missing = "void cudaMissing(void);" if "cuda" in name else "static void cudaMissing(void) {}"
        source.write_text(f"{missing}\nvoid mock_{name}(void) {{ cudaMissing(); }}\n")
        subprocess.run(
            ["cc", "-shared", "-fPIC", source, "-o", folder / "lib" / f"lib{name}.so"], check=True
        )
    return folder


def configure(source, build, wheel):
    return subprocess.run(
        ["cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DSTOCHA_TORCH_DIR={wheel}"],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("version", ["2.11.0+cu130", "2.13.0+cu130"])
def test_the_whole_project_configures(repo, tmp_path, version):
    wheel = make_mock_wheel(tmp_path / "torch", version, cuda=True)
    result = configure(repo, tmp_path / "build", wheel)
    assert result.returncode == 0, result.stderr
    assert "CUDA: ON" in result.stdout
    ninja = (tmp_path / "build" / "build.ninja").read_text()
    assert f"{wheel}/lib/libtorch_cuda.so" in ninja


def test_a_program_links_although_cuda_symbols_are_missing(repo, tmp_path):
    wheel = make_mock_wheel(tmp_path / "torch", "2.12.0+cu130", cuda=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.cc").write_text("#include <c10/core/ScalarType.h>\nint main() { return 0; }\n")
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(mock CXX)\nset(CMAKE_CXX_STANDARD 20)\n"
        f"include({repo}/cmake/LibTorch.cmake)\n"
        "add_executable(main main.cc)\ntarget_link_libraries(main PRIVATE libtorch)\n"
        "target_link_options(main PRIVATE LINKER:--no-as-needed)\n"
    )
    result = configure(project, tmp_path / "build", wheel)
    assert result.returncode == 0, result.stderr
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    linked = subprocess.run(
        ["readelf", "-d", tmp_path / "build" / "main"], check=True, capture_output=True, text=True
    ).stdout
    assert "libtorch_cuda.so" in linked


@pytest.mark.parametrize(
    "version, cuda, needle",
    [("2.10.0+cpu", False, "expected 2.11 to 2.13"), ("2.14.0", False, "expected 2.11 to 2.13")],
)
def test_other_versions_are_refused(repo, tmp_path, version, cuda, needle):
    wheel = make_mock_wheel(tmp_path / "torch", version, cuda)
    result = configure(repo, tmp_path / "build", wheel)
    assert result.returncode != 0
    assert needle in " ".join(result.stderr.split())


def test_a_missing_wheel_says_what_to_do(repo, tmp_path):
    result = configure(repo, tmp_path / "build", tmp_path / "nowhere")
    assert result.returncode != 0
    assert "run scripts/setup" in " ".join(result.stderr.split())
