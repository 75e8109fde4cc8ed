"""stocha experiment as a whole: a tiny grid, its results against numpy, kills, signals, refusals."""

import html.parser
import json
import math
import shutil
import signal
import statistics
import subprocess
import time
import xml.etree.ElementTree

import pytest
import transformers

from harness import assert_one_line_error, run, run_ok
from training_reference import noisy_cycle, write_shard

VOCAB = 31

BASE = """seeds = [1, 2]
learning_rates = [1e-3, 1e-2]

[base.model]
vocab_size = {vocab}
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 2
num_attention_heads = 2
max_position_embeddings = 16

[base.data]
train = "train.tokens"
validation = "validation.tokens"
sequence_length = 16

[base.training]
steps = 20
batch_size = 4
compute_type = "f32"
threads = 1
validate_every = 5
checkpoint_every = 5

[[arm]]
name = "relu"
recipe.activation = [{{ activation = "relu" }}]

[[arm]]
name = "swi-ft"
recipe.activation = [{{ until = 0.75, activation = "silu" }}, {{ activation = "relu" }}]
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A grid of two arms, with two rates and two seeds: 6 runs of 20 steps."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    write_shard(tmp_path / "train.tokens", noisy_cycle(4000, VOCAB, seed=1), VOCAB)
    write_shard(tmp_path / "validation.tokens", noisy_cycle(400, VOCAB, seed=2), VOCAB)
    path = tmp_path / "grid.toml"
    path.write_text(BASE.format(vocab=VOCAB))
    return path


def results_of(output):
    return json.loads((output / "results.json").read_text())


def validations(output, run_name):
    lines = (output / "runs" / run_name / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["type"] == "validation"]


def comparable(results):
    """What two runs of one experiment must agree in, whatever they were through."""
    arms = [{k: v for k, v in arm.items() if k not in ("commit", "seconds", "tokens_per_s")}
            for arm in results["arms"]]
    return sorted(arms, key=lambda arm: arm["run"]), results["groups"]


def test_a_grid_is_run_summed_up_and_not_run_again(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    text = run_ok(stocha, "experiment", recipe, "--output", output)
    assert "6 of 6 runs finished, 0 failed" in text
    results = results_of(output)
    assert results["recipe"] == "grid.toml" and len(results["recipe_sha256"]) == 64
    assert len(results["arms"]) == 6
    for arm in results["arms"]:
        last = validations(output, arm["run"])[-1]
        assert arm["status"] == "finished" and arm["tokens"] == 20 * 4 * 16
        assert last["activation"] == arm["activation"] == "relu"
        assert arm["val_loss"] == last["loss"] and arm["sparsity_by_layer"] == last["sparsity"]
        assert math.isclose(arm["sparsity"], statistics.fmean(last["sparsity"]))
    for group in results["groups"]:
        mine = [arm for arm in results["arms"] if arm["name"] == group["name"]]
        scan = {arm["learning_rate"]: arm["val_loss"] for arm in mine if arm["seed"] == 1}
        assert group["learning_rate"] == min(scan, key=scan.get)
        losses = [a["val_loss"] for a in mine if a["learning_rate"] == group["learning_rate"]]
        assert len(losses) == group["seeds"] == 2
        assert math.isclose(group["val_loss"], statistics.fmean(losses))
        assert math.isclose(group["val_loss_spread"], statistics.stdev(losses))
    switched = [arm for arm in results["arms"] if arm["name"] == "swi-ft"]
    for arm in switched:
        before, at = [v for v in validations(output, arm["run"]) if v["step"] == 15]
        assert (before["activation"], at["activation"]) == ("silu", "relu")
        assert arm["val_loss_before_switch"] == before["loss"]
        assert arm["val_loss_at_switch"] == at["loss"]

    before = {path: path.stat().st_mtime_ns for path in output.rglob("metrics.jsonl")}
    text = run_ok(stocha, "experiment", recipe, "--output", output, "--set", "seeds=[1]")
    assert "4 of 4 runs finished, 0 failed" in text  # the other seed's runs are not of this one
    run_ok(stocha, "experiment", recipe, "--output", output)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("metrics.jsonl")} == before
    assert results_of(output)["arms"] == results["arms"]


def test_the_report_is_drawn_again_from_results_alone(stocha, recipe, tmp_path):
    first, kept = tmp_path / "first", tmp_path / "kept"
    run_ok(stocha, "experiment", recipe, "--output", first)
    results = results_of(first)
    results["commit"] = "of another day"
    results["machine"]["cpu"] = "another processor"
    kept.mkdir()
    (kept / "results.json").write_text(json.dumps(results))
    assert "6 of 6 runs finished" in run_ok(stocha, "experiment", recipe, "--output", kept)
    assert results_of(kept) == results  # nothing ran here
    assert results["arms"][0]["machine"] in (kept / "report.html").read_text()


def test_runs_side_by_side_come_to_the_same_figures(stocha, recipe, tmp_path):
    one, three = tmp_path / "one", tmp_path / "three"
    run_ok(stocha, "experiment", recipe, "--output", one)
    text = run_ok(stocha, "experiment", recipe, "--output", three, "--jobs", 3)
    assert "6 of 6 runs finished, 0 failed" in text
    assert comparable(results_of(three)) == comparable(results_of(one))


def test_ctrl_c_stops_all_runs_at_work(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    flags = ["--jobs", 2, "--set", "seeds=[1]", "--set", "learning_rates=[1e-2]", "--set",
             "base.training.steps=100000"]
    process = subprocess.Popen([str(word) for word in (stocha, "experiment", recipe, "--output",
                                                       output, *flags)],
                               stderr=subprocess.PIPE, text=True)
    metrics = [output / "runs" / f"{arm}-lr0.01-seed1" / "metrics.jsonl"
               for arm in ("relu", "swi-ft")]
    deadline = time.monotonic() + 60
    while not all(path.is_file() and path.stat().st_size > 4000 for path in metrics):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "stopped with 0 of 2 runs finished" in errors
    assert [arm["status"] for arm in results_of(output)["arms"]] == ["stopped", "stopped"]
    assert all((path.parent / "checkpoints").is_dir() for path in metrics)


class Page(html.parser.HTMLParser):
    """Collects the page's links to elsewhere, the names of its charts and its headings."""

    def __init__(self, text):
        super().__init__()
        self.elsewhere, self.charts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "svg" and "aria-label" in attributes:
            self.charts.append(attributes["aria-label"])
        for key in ("src", "href"):
            if not attributes.get(key, "data:").startswith("data:"):
                self.elsewhere.append(attributes[key])


def test_its_page_is_whole_by_itself(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    run_ok(stocha, "experiment", recipe, "--output", output, "--set", "learning_rates=[1e-2]",
           "--set", "seeds=[1]")
    page = Page((output / "report.html").read_text())
    assert page.elsewhere == []
    for chart in ("Validation loss over sparsity", "Sparsity by layer", "Loss over steps",
                  "Sparsity over steps", "Validation loss over tokens"):
        assert chart in page.charts
    # The plots stand alone; without the runs' metrics they and the page are there too.
    plots = sorted((output / "plots").iterdir())
    assert [plot.stem for plot in plots] == ["frontier", "layers", "validation"]
    for plot in plots:
        drawing = xml.etree.ElementTree.parse(plot).getroot()
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert {"relu", "swi-ft"} <= {text.text for text in drawing.iter() if text.text}
    shutil.rmtree(output / "runs")
    (output / "runs").mkdir()
    plots[0].unlink()
    run_ok(stocha, "experiment", recipe, "--output", output, "--set", "learning_rates=[1e-2]",
           "--set", "seeds=[1]")
    assert plots[0].exists()
    assert "Validation loss over tokens" in Page((output / "report.html").read_text()).charts


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_cut_goes_on_to_the_same_figures(stocha, recipe, tmp_path, how):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    flags = ["--set", "seeds=[1]", "--set", "learning_rates=[1e-2]", "--set",
             "base.training.steps=2000", "--set", "base.training.validate_every=500", "--set",
             "base.training.checkpoint_every=500"]
    run_ok(stocha, "experiment", recipe, "--output", whole, *flags)
    process = subprocess.Popen([stocha, "experiment", recipe, "--output", cut, *flags],
                               stderr=subprocess.PIPE, text=True)
    name = "swi-ft-lr0.01-seed1"
    metrics = cut / "runs" / name / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.is_file() and metrics.stat().st_size > 4000):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    status = {arm["run"]: arm["status"] for arm in results_of(cut)["arms"]}
    assert status["relu-lr0.01-seed1"] == "finished"
    if how == signal.SIGINT:
        assert process.returncode == 1 and "stopped with 1 of 2 runs finished" in errors
        assert status[name] == "stopped"
    else:
        assert status[name] == "running"
        time.sleep(1)  # the trainer, told of the death, saves what it has
    run_ok(stocha, "experiment", recipe, "--output", cut, *flags)
    assert comparable(results_of(cut)) == comparable(results_of(whole))


def test_a_run_that_fails_is_a_result_and_is_tried_again_when_asked(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    flags = ["--set", "learning_rates=[1e-2, 1e+30]", "--set", "seeds=[1]", "--set",
             'arm=[{name="relu", recipe={activation=[{activation="relu"}]}}]']
    text = run_ok(stocha, "experiment", recipe, "--output", output, *flags)
    assert "1 of 2 runs finished, 1 failed" in text
    finished, failed = results_of(output)["arms"]
    assert (finished["status"], failed["status"]) == ("finished", "failed")
    assert failed["learning_rate"] == 1e30 and "not finite" in failed["error"]
    assert results_of(output)["groups"][0]["learning_rate"] == 1e-2
    again = run(stocha, "experiment", recipe, "--output", output, *flags)
    assert "failed:" not in again.stderr
    again = run(stocha, "experiment", recipe, "--output", output, "--retry-failed", *flags)
    assert again.stderr.count("failed:") == 1


def test_text_is_tokenized_once(stocha, recipe, tmp_path, repo):
    import tokenizers

    text = tmp_path / "text.txt"
    text.write_text("In the beginning was the word, and the word was long.\n" * 200)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train([str(text)], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    output = tmp_path / "out"
    flags = ["--text", text, "--tokenizer", tmp_path / "tokenizer.json", "--set",
             "text.validation_fraction=0.2", "--set", "base.model.vocab_size=0", "--set",
             "seeds=[1]", "--set", "learning_rates=[1e-2]", "--set", "base.training.steps=4"]
    run_ok(stocha, "experiment", recipe, "--output", output, *flags)
    facts = results_of(output)["text"]
    ids = tokenizer.encode(text.read_text()).ids
    # The end-of-text token of both parts comes on top; a cut at a line break splits no token here.
    assert facts["train_tokens"] + facts["validation_tokens"] == len(ids) + 2
    assert facts["train"][0]["file"] == "text.txt"
    text.write_text(text.read_text() + "And more.\n")
    assert_one_line_error(run(stocha, "experiment", recipe, "--output", output, *flags),
                          "another text or tokenizer")


def test_a_dry_run_says_what_it_takes_and_writes_nothing(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    json_text = run_ok(stocha, "experiment", recipe, "--output", output, "--dry-run", "--json",
                       "--probe-steps", 2)
    estimate = json.loads(json_text)
    assert [group["runs"] for group in estimate["groups"]] == [3, 3]
    assert all(group["tokens"] == 20 * 4 * 16 for group in estimate["groups"])
    assert estimate["hours"] > 0
    assert not output.exists()


def test_a_dry_run_knows_the_model_to_start_from(stocha, recipe, tmp_path):
    config = transformers.LlamaConfig(vocab_size=VOCAB, hidden_size=16, intermediate_size=48,
                                      num_hidden_layers=3, num_attention_heads=2)
    config.save_pretrained(tmp_path / "model")
    text = recipe.read_text()
    shape = text[text.index("vocab_size"):text.index("[base.data]")]
    recipe.write_text(text.replace(shape, 'init_from = "model"\n'))
    estimate = json.loads(run_ok(stocha, "experiment", recipe, "--output", tmp_path / "out",
                                 "--dry-run", "--json", "--probe-steps", 0))
    expected = transformers.LlamaForCausalLM(config).num_parameters()
    assert [group["params"] for group in estimate["groups"]] == [expected, expected]
    (tmp_path / "model" / "config.json").unlink()
    assert_one_line_error(run(stocha, "experiment", recipe, "--dry-run", "--probe-steps", 0),
                          "config.json")


def test_what_cannot_be_run_is_refused_in_one_line(stocha, recipe, tmp_path):
    output = tmp_path / "out"

    def refused(*flags):
        return run(stocha, "experiment", recipe, "--output", output, *flags)

    assert_one_line_error(refused("--set", "base.training.stepz=3"), "training.stepz", "did you mean")
    assert_one_line_error(refused("--set", "base.training.steps=0"), "training.steps", "got 0")
    assert_one_line_error(refused("--set", "arm=[]"), "arm")
    assert_one_line_error(run(stocha, "experiment", tmp_path / "none.toml"), "none.toml")
    assert not output.exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    result = run(stocha, "experiment", recipe, "--output", tmp_path / "other")
    assert_one_line_error(result, "neither empty nor the folder of an experiment")


def test_a_run_is_never_continued_with_another_recipe(stocha, recipe, tmp_path):
    output = tmp_path / "out"
    flags = ["--set", "seeds=[1]", "--set", "learning_rates=[1e+30]", "--set",
             'arm=[{name="relu", recipe={activation=[{activation="relu"}]}}]']  # fails: to be retried
    run_ok(stocha, "experiment", recipe, "--output", output, *flags)
    result = run(stocha, "experiment", recipe, "--output", output, "--retry-failed", *flags,
                 "--set", "base.training.batch_size=2")
    assert_one_line_error(result, "started with another recipe")
