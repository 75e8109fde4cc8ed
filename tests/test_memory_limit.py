"""bench/memory_limit.py, on a folder in the place of /sys/fs/cgroup: what it writes, runs, parses."""

import os
import pathlib
import shutil
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "bench"))
import memory_limit  # noqa: E402


@pytest.fixture(params=[1, 2])
def cgroups(request, tmp_path, monkeypatch):
    """(Where the cgroups of a version are, the file that limits one of them)."""
    root = tmp_path / "cgroup"
    (root / "memory").mkdir(parents=True)
    monkeypatch.setattr(memory_limit, "CGROUPS", root)
    # The system removes a cgroup's files with it.
    monkeypatch.setattr(memory_limit.MemoryCgroup, "close", lambda self: shutil.rmtree(self.folder))
    if request.param == 1:
        (root / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
        return root / "memory", "memory.limit_in_bytes"
    (root / "cgroup.subtree_control").write_text("cpu\n")
    return root, "memory.max"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" * 1000)
    return path


def options(*arguments):
    return memory_limit.parse(["--limit-mb", "3", *map(str, arguments)])


def test_a_cgroup_of_its_own_is_limited_and_entered(cgroups):
    mount, limit_file = cgroups
    cgroup = memory_limit.MemoryCgroup(123_456)
    assert cgroup.folder.parent == mount and str(os.getpid()) in cgroup.folder.name
    assert [file.name for file in cgroup.folder.iterdir()] == [limit_file]
    assert (cgroup.folder / limit_file).read_text() == "123456"
    if limit_file == "memory.max":  # of version 2, which gives no controller by itself
        assert (mount / "cgroup.subtree_control").read_text() == "+memory"
    cgroup.enter()
    assert (cgroup.folder / "cgroup.procs").read_text() == str(os.getpid())
    cgroup.close()
    assert not cgroup.folder.exists()


def test_without_cgroups_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limit, "CGROUPS", tmp_path / "none")
    with pytest.raises(SystemExit, match="cannot limit memory: .*none.*; run as root"):
        memory_limit.MemoryCgroup(1)


def test_a_command_runs_inside(cgroups, model, tmp_path):
    mount, _ = cgroups
    seen = tmp_path / "seen"
    script = f"""import glob
[procs] = glob.glob({str(mount / "stocha-*/cgroup.procs")!r})
open({str(seen)!r}, "w").write(open(procs).read())"""
    seconds, read = memory_limit.run_limited([sys.executable, "-c", script], model, 10**6)
    assert seconds > 0 and read >= 0
    assert int(seen.read_text()) != os.getpid()
    assert not list(mount.glob("stocha-*"))


def test_a_command_that_fails_ends_it_and_leaves_no_cgroup(cgroups, model):
    script = "import sys; print('first', file=sys.stderr); sys.exit('no memory for the model')"
    with pytest.raises(SystemExit, match="left 1: no memory for the model$"):
        memory_limit.run_limited([sys.executable, "-c", script], model, 10**6)
    with pytest.raises(SystemExit, match="no /none/llama-bench: run scripts/setup"):
        memory_limit.run_limited(["/none/llama-bench"], model, 10**6)
    assert not list(cgroups[0].glob("stocha-*"))


def test_a_token_costs_what_more_tokens_cost_more(model, monkeypatch):
    costs = {10: (3.0, 1_000_000), 30: (8.0, 41_000_000)}
    calls = []

    def run_limited(command, path, limit):
        calls.append((path, limit))
        return costs[command]

    monkeypatch.setattr(memory_limit, "run_limited", run_limited)
    result = memory_limit.measure(
        lambda path, tokens, _: tokens, model, options("--tokens", "10,30")
    )
    assert calls == [(model, 3_000_000)] * 2
    assert result == {
        "model": "model.gguf", "file_mb": 0.004, "tokens_per_s": 4.0, "mb_read_per_token": 2.0,
    }  # fmt: skip


def test_commands(model):
    chosen = options("--threads", 3, "--activation", "relu", "--binary", "s")
    ours = memory_limit.stocha_command(model, 16, chosen)
    assert ours[:3] == ["s", "generate", str(model)]
    for pair in (["--max-tokens", "16"], ["--threads", "3"], ["--activation", "relu"]):
        assert " ".join(pair) in " ".join(ours)
    theirs = " ".join(memory_limit.llama_command(model, 16, chosen))
    assert f"-m {model} -t 3 -p 0 -n 16" in theirs and "--repack 0" in theirs


def test_arguments(model, capsys):
    assert options("--stocha", f"{model},{model}").stocha == [model, model]
    assert options().tokens == (16, 32)
    for bad, needle in [
        (["--tokens", "32,16"], "FEW,MANY"),
        (["--tokens", "0,16"], "FEW,MANY"),
        (["--tokens", "many"], "--tokens"),
        (["--stocha", f"{model}.none"], "no file"),
    ]:
        with pytest.raises(SystemExit):
            options(*bad)
        assert needle in capsys.readouterr().err
