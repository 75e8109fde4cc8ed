"""bench/compare.py, with stand-ins for stocha and its rivals: what is parsed, logged, refused, printed."""

import json
import pathlib
import stat
import sys

import gguf
import numpy as np
import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "bench"))
import compare  # noqa: E402
from peers import gguf_model, huge_pages, isa, llama_cpp, rounds, shapes, worker  # noqa: E402
from peers.rows import ROWS  # noqa: E402

FULL_INFO = "CPU : AVX2 = 1 | FMA = 1 | AVX512 = 1 | AVX512_VNNI = 1 | REPACK = 1"
ANSWER = {
    "decode_tokens_per_s": {"dense": 30.0, "exact": 48.0, "screened": 60.0},
    "prefill_tokens_per_s": {"dense": 100.0, "exact": 150.0, "screened": 150.0},
    "ffn_us_per_token": {"dense": 24000.0, "exact": 10000.0, "screened": 6000.0},
    "bytes_per_token": {"dense": 1.3e9, "exact": 7.5e8, "screened": 5.5e8},
    "read_bandwidth_gb_s": 40.0,
    "active_fraction": 0.1,
    "machine": {"isa": "avx512", "features": ["avx512_vnni"]},
}


def write_program(path, body):
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_stocha(folder, answer):
    """A stocha that prints `answer`, and notes each call's arguments in calls.txt."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    body = f"""import sys
open({str(folder / "calls.txt")!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
print({text!r})
"""
    return write_program(folder / "stocha", body)


class FakeRival:
    """Always at 25 tok/s."""

    name, version, setting = "llama.cpp", "1", "flash attention on"

    def measure(self):
        return 25.0

    def close(self):
        pass


@pytest.fixture
def run_compare(tmp_path, monkeypatch, capsys):
    """Runs compare.py on a fake stocha; (Markdown, JSON report) of it."""

    def run(answer=ANSWER, system_info=FULL_INFO, arguments=()):
        program = fake_stocha(tmp_path, answer)
        monkeypatch.setattr(llama_cpp, "system_info", lambda: system_info)
        monkeypatch.setattr(rounds, "rival_of", lambda row, setting: FakeRival())
        report = tmp_path / "report.json"
        options = ["--rows", "decode-q8_0", "--rounds", "2", "--stocha", str(program)]
        options += ["--log", str(tmp_path / "rounds.jsonl"), "--json", str(report), *arguments]
        assert compare.main(options) == 0
        return capsys.readouterr().out, json.loads(report.read_text())

    run.calls = lambda: (tmp_path / "calls.txt").read_text().splitlines()
    run.log = tmp_path / "rounds.jsonl"
    return run


def test_ratios_and_shares_of_the_roof(run_compare):
    text, report = run_compare()
    assert "| decode-q8_0, 2 threads | llama.cpp q8_0: 25 (25 to 25) | q8_0 dense |" in text
    assert "**1.92** (1.92 to 1.92) | 1.5 reached |" in text
    assert "| decode-q8_0 exact | 0.100 | 750.0 | 0.90 | 0.8 reached | 10,000 (10,000 to 10,000) |" in text
    assert FULL_INFO in text
    modes = report["rows"][0]["modes"]
    assert modes["screened"]["ratio"]["median"] == pytest.approx(60 / 25)
    roof = report["rows"][0]["roof"]
    assert roof["exact"]["share_of_roof"]["median"] == pytest.approx(7.5e8 * 48 / 40e9)
    assert roof["exact"]["ffn_ratio"]["median"] == pytest.approx(2.4)


def test_stocha_is_called_by_its_contract(run_compare):
    run_compare()
    model = "--shape llama-3.2-1b --sparsity 0.9 --type q8_0 --threads 2"
    tokens = "--prompt-tokens 16 --gen-tokens 64 --prefill exact --batch 1 --rounds 1"
    modes = "--ffn dense --ffn exact --ffn screened"
    assert run_compare.calls() == [f"bench {model} {tokens} {modes} --json"] * 2


@pytest.fixture
def model_flags(tmp_path):
    model, text = tmp_path / "relu.gguf", tmp_path / "text.txt"
    model.write_bytes(b"GGUF")
    text.write_text("In the beginning")
    return ["--rows", "decode-q8_0-135m-1t", "--model", str(model), "--text", str(text)]


def test_a_model_takes_the_place_of_random_weights(run_compare, model_flags):
    config = shapes.SHAPES["smollm2-135m"].llama_config()
    described = ANSWER | {"config": config, "dtype": "q8_0", "model": model_flags[3], "active_fraction": 0.35}
    text, report = run_compare(described, arguments=model_flags)
    inspected, first, second = run_compare.calls()
    assert inspected == f"inspect {model_flags[3]} --json"
    assert first == second and first.startswith(f"bench {model_flags[3]} --text {model_flags[5]} --threads 1 ")
    assert "- decode-q8_0-135m-1t: relu.gguf, 0.350 of its neurons active" in text
    assert report["rows"][0]["modes"]["exact"]["ratio"]["median"] == pytest.approx(48 / 25)
    again, _ = run_compare(described, arguments=[*model_flags, "--resume"])
    assert len(run_compare.calls()) == 4 and "**1.92**" in again  # inspected, not measured


@pytest.mark.parametrize(
    "config, dtype, message",
    [({"hidden_size": 64}, "q8_0", "hidden_size 64, expected 576"), ({}, "q4_0", "q4_0, expected q8_0")],
)
def test_a_model_of_another_shape_or_type_is_refused(run_compare, model_flags, config, dtype, message):
    described = {"config": shapes.SHAPES["smollm2-135m"].llama_config() | config, "dtype": dtype}
    with pytest.raises(SystemExit, match=message):
        run_compare(described, arguments=model_flags)


def test_rows_of_the_fast_prefill_ask_for_it(run_compare):
    run_compare(arguments=["--rows", "prefill-q8_0,prefill-q8_0-fast"])
    exact, fast = run_compare.calls()[:2], run_compare.calls()[2:]
    assert len(exact) == len(fast) == 2
    assert all("--prefill exact" in call for call in exact)
    assert all("--prefill fast" in call for call in fast)


def test_modes_that_a_row_does_not_have_may_be_null(run_compare):
    speeds = {"dense": 100.0, "exact": 150.0, "screened": None}
    text, report = run_compare(
        ANSWER | {"prefill_tokens_per_s": speeds}, arguments=["--rows", "prefill-q8_0"]
    )
    assert list(report["rows"][0]["modes"]) == ["dense", "exact"]
    assert "share of the roof" not in text  # a prefill is no reading of bytes


@pytest.mark.parametrize(
    "system_info", ["CPU : AVX512 = 1 | AVX512_VNNI = 0", "CPU : AVX512 = 1", "", "CPU : AVX2 = 1"]
)
def test_no_ratio_against_a_build_without_an_isa_of_ours(run_compare, system_info):
    text, report = run_compare(system_info=system_info)
    assert "**" not in text and "reached" not in text.split("share of the roof")[0]
    assert "withheld: llama.cpp was built without AVX512" in text
    assert all(mode["ratio"] is None for mode in report["rows"][0]["modes"].values())


def test_no_ratio_when_an_isa_of_ours_is_not_known(run_compare):
    machine = {"isa": "avx512", "features": ["avx1024"]}
    text, _ = run_compare(ANSWER | {"machine": machine})
    assert "withheld: stocha uses avx1024" in text


def test_a_cut_run_goes_on(run_compare):
    run_compare()
    with run_compare.log.open("a") as log:
        log.write('\n{"row": {"na')  # killed while writing
    _, report = run_compare(arguments=["--resume", "--rounds", "3"])
    assert report["rows"][0]["rounds"] == 3
    assert len(run_compare.calls()) == 3
    run_compare()  # without --resume: anew
    assert len(run_compare.calls()) == 5


def test_rounds_of_another_build_are_not_used(run_compare):
    run_compare()
    run_compare(ANSWER | {"active_fraction": 0.2}, arguments=["--resume"])
    assert len(run_compare.calls()) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("no json", "not JSON"),
        ({**ANSWER, "decode_tokens_per_s": {"dense": 1.0}}, "no decode_tokens_per_s.exact"),
        ({"decode_tokens_per_s": ANSWER["decode_tokens_per_s"]}, "no prefill_tokens_per_s"),
    ],
)
def test_a_bad_answer_of_stocha_is_one_line(run_compare, answer, message):
    with pytest.raises(SystemExit) as stop:
        run_compare(answer)
    assert message in str(stop.value) and "\n" not in str(stop.value)


def test_rows_are_named_by_their_start():
    assert [row.name for row in compare.compared_rows("batch,decode-q4_0")] == [
        *(name for name in ROWS if name.startswith("batch")),
        "decode-q4_0",
    ]
    with pytest.raises(SystemExit):
        compare.main(["--rows", "nonsense"])


def test_system_info_is_parsed():
    text = "CPU : SSE3 = 1 | AMX_INT8 = 0 | REPACK = 1 | "
    assert isa.parse_system_info(text) == {"SSE3": 1, "AMX_INT8": 0, "REPACK": 1}
    amx = {"isa": "avx512", "features": ["amx_int8"]}
    assert "AMX_INT8" in isa.reason_to_withhold(amx, "AVX512 = 1 | AMX_INT8 = 0")
    assert isa.reason_to_withhold(amx, "AVX512 = 1 | AMX_INT8 = 1") is None


def test_llama_cpp_runs_at_its_best_setting(tmp_path, monkeypatch):
    """A llama-bench that is fastest with flash attention, without repacking, on its own threads."""
    body = """import os, sys
a = sys.argv
speed = 10 + (a[a.index("-fa") + 1] == "1") + (a[a.index("--repack") + 1] == "0")
print('[{"samples_ts": [1, %d, 2]}]' % (speed + ("openmp" not in os.environ.get("LD_LIBRARY_PATH", ""))))
"""
    write_program(tmp_path / "llama-bench", body)
    monkeypatch.setattr(llama_cpp, "BIN", tmp_path)
    monkeypatch.setattr(llama_cpp, "OPENMP_BIN", tmp_path / "openmp")
    (tmp_path / "m.gguf").write_text("weights")
    monkeypatch.setattr(gguf_model, "model_file", lambda shape, kind, folder: tmp_path / "m.gguf")
    monkeypatch.setattr(llama_cpp.LlamaCpp, "best_of", {})
    rival = llama_cpp.LlamaCpp(ROWS["decode-q8_0"])
    assert rival.setting == "flash attention on, repack off, own threads"
    assert rival.measure() == 13
    again = llama_cpp.LlamaCpp(ROWS["decode-q8_0"], "flash attention off, repack on, OpenMP")
    assert again.measure() == 10


def test_a_library_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    """Its speed is 1000 x prompt + generated tokens; it chatters on standard output as libraries do."""
    program = tmp_path / "worker.py"
    program.write_text(f"""import sys
sys.path.insert(0, {str(REPO / "bench")!r})
from peers.worker import serve_speed
print("loading", *sys.argv[1:])
serve_speed("1.0", "eager", lambda prompt, generated: 1000 * prompt + generated)
""")
    monkeypatch.setitem(worker.WORKERS, "transformers", (pathlib.Path(sys.executable), program))
    speeds = []
    for name in ("prefill-transformers", "decode-transformers"):
        rival = rounds.rival_of(ROWS[name], None)
        assert (rival.name, rival.version, rival.setting) == ("transformers", "1.0", "eager")
        speeds += [rival.measure(), rival.measure()]
        rival.close()
        assert rival.process.returncode == 0
    assert speeds == [512000, 512000, 16032, 16032]


def test_a_library_that_dies_is_one_line(tmp_path, monkeypatch):
    program = tmp_path / "worker.py"
    program.write_text("raise SystemExit(1)")
    monkeypatch.setitem(worker.WORKERS, "transformers", (pathlib.Path(sys.executable), program))
    with pytest.raises(SystemExit, match="^compare: error: the transformers process ended"):
        rounds.rival_of(ROWS["decode-transformers"], None)


@pytest.mark.parametrize("file_type", gguf_model.FILE_TYPES)
def test_models_for_llama_cpp_have_weights_of_a_trained_size(tmp_path, file_type):
    shape = shapes.shape_named("256,512,2,4,2,300")
    path = gguf_model.model_file(shape, file_type, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert len(tensors) == 2 + 2 * 9
    for name in ("token_embd.weight", "blk.1.ffn_down.weight"):
        tensor = tensors[name]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.isfinite(values).all()
        assert 0.5 < values.std() * tensor.shape[0] ** 0.5 < 3
    head = gguf_model.FILE_TYPES[file_type][1]
    assert tensors["token_embd.weight"].tensor_type == head


def test_shapes_are_names_or_six_sizes():
    assert shapes.shape_named("llama-3.2-1b").head_dim == 64
    for bad in ("llama", "1,2,3", "64,96,1,3,1,50", "64,96,1,2,0,50", "a,b,c,d,e,f"):
        with pytest.raises(ValueError, match="expected llama-3.2-1b"):
            shapes.shape_named(bad)


def test_reading_a_file_in_again_leaves_it_as_it_was(tmp_path):
    content = bytes(range(256)) * 20000
    path = tmp_path / "file"
    path.write_bytes(content)
    huge_pages.read_in(path)
    assert path.read_bytes() == content
