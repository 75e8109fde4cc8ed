"""bench/train_compare.py, with stand-ins for stocha and its peer: what is run, parsed, logged, printed."""

import json
import pathlib
import stat
import sys

import pytest
import torch
import transformers

REPO = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "bench"))
import train_compare  # noqa: E402
from peers.shapes import shape_named  # noqa: E402
from train_peers import peer, rows, stocha_train  # noqa: E402
from train_peers.torch_worker import StochasticSilu, Training  # noqa: E402

OP_ANSWER = {
    "step_overhead_percent": 1.5,
    "step_overhead_percent_quartiles": [1.0, 2.0],
    "rounds": 5,
}
# Two slow steps, then 4,000 tok/s, in the metrics of the run; then it goes on, as a long run does.
STOCHA = """import json, os, sys, time
a = sys.argv
run = a[a.index("--output") + 1]
open({calls!r}, "a").write(open(a[2]).read() + "\\n---\\n")
os.makedirs(run)
memory = b"x" * 50_000_000
with open(run + "/metrics.jsonl", "w") as log:
    for speed in [1.0, 1.0] + 20 * [4000.0]:
        log.write(json.dumps(dict(type="step", tokens_per_s=speed)) + "\\n")
    log.write('{{"type": "st')
time.sleep(60)
"""
TRAIN = f"""import sys
if sys.argv[1] == "bench-activation":
    print({json.dumps(OP_ANSWER)!r})
"""


def write_program(path, body):
    path.write_text(f"#!{sys.executable} -S\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class FakePeer:
    """Always at 5,000 tok/s, in 100 MB."""

    name, version, setting = "transformers", "transformers 1", "autocast, compiled"

    def ask(self, request):
        if "matmul" in request:
            return {"matmul_flops": 1e12}
        return {"tokens_per_s": 5000.0, "memory_bytes": 100_000_000}

    def close(self):
        pass


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Runs train_compare.py on a fake stocha; (Markdown, JSON report) of it."""
    calls = tmp_path / "calls.txt"
    program = write_program(tmp_path / "stocha", STOCHA.format(calls=str(calls)))
    write_program(tmp_path / "stocha-train", TRAIN)
    monkeypatch.setattr(peer, "peer_of", lambda row, setting: FakePeer())

    def run(*arguments):
        report = tmp_path / "report.json"
        options = ["--rows", "12m-silu", "--rounds", "2", "--stocha", str(program)]
        options += ["--log", str(tmp_path / "rounds.jsonl"), "--json", str(report)]
        assert train_compare.main(options + [*arguments]) == 0
        return capsys.readouterr().out, json.loads(report.read_text())

    run.recipes = lambda: calls.read_text().split("\n---\n")[:-1]
    return run


def test_ratio_share_and_memory(compare):
    text, report = compare()
    speed, share, memory = report["rows"][0]["figures"]
    assert speed["judged"] == {"median": 0.8, "min": 0.8, "max": 0.8} and not speed["reached"]
    assert "| 12m-silu, tokens/s | 5,000 (5,000 to 5,000) | 4,000 (4,000 to 4,000) | **0.80**" in text
    flops = report["rows"][0]["flops_per_token"]
    assert share["judged"]["median"] == pytest.approx(flops * 4000 / 1e12)
    assert share["theirs"]["median"] == pytest.approx(flops * 5000 / 1e12)
    # The stand-in holds 50 MB more than its trainer does when it has done nothing.
    assert 40 < memory["ours"]["median"] < 70 and memory["reached"]
    assert memory["theirs"]["median"] == 100
    assert report["machine"]["cores"] >= 1 and report["commit"]


def test_stocha_trains_the_peers_model_with_stocha_on(compare):
    compare("--rounds", "1")
    (recipe,) = compare.recipes()
    for line in ("hidden_size = 384", "num_hidden_layers = 6", "batch_size = 16", "threads = 2",
                 "sequence_length = 256", 'compute_type = "bf16"', 'activation = "stocha:0.7"',
                 "tie_word_embeddings = true"):
        assert line in recipe.splitlines()


def test_the_recipe_is_one_that_stocha_takes(stocha, tmp_path):
    row = rows.Row("tiny", "64,96,1,2,1,50", batch=2, sequence=8, activation="silu",
                   settings=rows.COMPILED, steps=3, threads=1)
    answer = stocha_train.measure(stocha, row, tmp_path)
    assert answer["tokens_per_s"] > 0 and answer["memory_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_a_stocha_that_fails_is_one_line(compare, tmp_path):
    write_program(tmp_path / "stocha", "raise SystemExit('stocha-train: error: no memory')")
    with pytest.raises(SystemExit) as stop:
        compare()
    assert "ended early: stocha-train: error: no memory" in str(stop.value)
    assert "\n" not in str(stop.value)


def test_a_cut_run_goes_on_with_the_same_build_only(compare, tmp_path):
    compare()
    with (tmp_path / "rounds.jsonl").open("a") as log:
        log.write('\n{"row": {"na')  # killed while writing
    _, report = compare("--resume", "--rounds", "3")
    assert report["rows"][0]["rounds"] == 3 and len(compare.recipes()) == 3
    write_program(tmp_path / "stocha-train", TRAIN + "# another build")
    compare("--resume")
    assert len(compare.recipes()) == 5


def test_the_op_is_judged_by_its_median(compare):
    text, report = compare("--rows", "12m-op")
    (line,) = report["rows"][0]["figures"]
    assert line["reached"] and line["judged"] == {"median": 1.5, "min": 1.0, "max": 2.0}
    assert "| 1.5 (1 to 2) |  | at most 3: reached |" in text


def test_rows_are_named_by_their_start(capsys):
    named = train_compare.compared_rows("135m,12m")
    assert [getattr(row, "name", row) for row in named] == [
        "135m-silu", "12m-silu", "12m-stocha", "12m-op"
    ]
    assert train_compare.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [*rows.ROWS, "12m-op"]
    with pytest.raises(SystemExit):
        train_compare.main(["--rows", "nonsense"])


def test_the_fastest_setting_is_kept(monkeypatch):
    """The stand-in's speed is the length of its setting's name."""
    closed = []

    class Setting(FakePeer):
        def __init__(self, setting):
            self.setting = setting

        def ask(self, request):
            return {"tokens_per_s": len(self.setting)}

        def close(self):
            closed.append(self.setting)

    monkeypatch.setattr(peer, "start", lambda row, setting: Setting(setting))
    row = rows.ROWS["12m-stocha"]
    assert peer.peer_of(row, None).setting == "autocast, compiled"
    assert sorted(closed) == sorted(set(row.settings) - {"autocast, compiled"})
    assert peer.peer_of(row, "master, eager").setting == "master, eager"


def test_flops_count_every_product_of_transformers_model():
    """Twice what its forward pass multiplies, three times over for the backward pass."""
    shape = shape_named("64,96,3,4,2,50")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape.llama_config()))
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    weights = sum(module.weight.numel() for module in linear)
    attention = 3 * 2 * 2 * 20 * 64  # layers; scores and mixing; multiply and add; 20 keys of 4 heads
    assert rows.flops_per_token(shape, 20) == 3 * (2 * weights + attention)


@pytest.mark.parametrize("scheme", ["autocast", "master"])
def test_the_peer_learns(scheme):
    shape = shape_named("64,96,1,2,1,50")
    training = Training(shape, 16, "silu", f"{scheme}, eager")
    for group in training.optimizer.param_groups:
        group["lr"] = 1e-2
    torch.manual_seed(1)
    windows = torch.randint(0, 50, (4, 17))
    losses = [training.step(windows) for _ in range(12)]
    assert losses[0] == pytest.approx(torch.log(torch.tensor(50.0)).item(), abs=0.2)
    assert losses[-1] < losses[0] - 1
    assert all(master.dtype == torch.float32 for master in training.masters)


def test_the_naive_activation_is_stocha():
    torch.manual_seed(2)
    gate = torch.randn(100000)
    drawn = StochasticSilu()(gate)
    silu = torch.nn.functional.silu(gate)
    negative = gate < 0
    assert torch.equal(drawn[~negative], gate[~negative])
    shown = drawn[negative] == silu[negative]
    assert shown.float().mean().item() == pytest.approx(0.7, abs=0.01)
    assert torch.all(drawn[negative][~shown] == 0)
