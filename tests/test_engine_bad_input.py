"""What the commands that run a model refuse, in one line: flags (exit code 2) and inputs (1)."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, config, save_random_model, save_talking_model


@pytest.fixture(scope="module")
def relu(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relu")
    return save_random_model(config("llama", hidden_act="relu", head_dim=8), torch.float32, folder)


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking"))


BAD_FLAGS = {
    "generate": [
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--temperature", "hot"], "temperature"),
        (["--top-k", "-1"], "top-k"),
        (["--top-k", "1.5"], "top-k"),
        (["--top-p", "0"], "top-p"),
        (["--top-p", "1.5"], "top-p"),
        (["--min-p", "-0.5"], "min-p"),
        (["--min-p", "2"], "min-p"),
        (["--repetition-penalty", "0"], "repetition-penalty"),
        (["--repetition-penalty", "inf"], "repetition-penalty"),
        (["--max-tokens", "0"], "max-tokens"),
        (["--max-tokens", "99999999999999999999"], "max-tokens"),
        (["--num-samples", "0"], "num-samples"),
        (["--seed", "-1"], "seed"),
        (["--threads", "-1"], "threads"),
        (["--threads", "100000"], "threads"),
        (["--ffn", "fast"], "--ffn"),
        (["--activation", "gelu"], "--activation"),
        (["--activation", "stocha:1.5"], "--activation"),
        (["--activation", "stocha:"], "--activation"),
        (["--no-such-flag"], "no-such-flag"),
    ],
    "eval": [
        (["--context", "1"], "context"),
        (["--context", "401"], "context"),
        (["--context", "-5"], "context"),
        (["--context", "64", "--stride", "65"], "stride"),
        (["--limit-tokens", "-1"], "limit-tokens"),
        (["--activation", "expected:x"], "--activation"),
    ],
    "logits": [
        (["--ids", "1,two"], "--ids"),
        (["--ids", "1.5"], "--ids"),
        (["--threads", "two"], "threads"),
    ],
}


@pytest.mark.parametrize(
    "command, flags, needle", [(c, *case) for c, cases in BAD_FLAGS.items() for case in cases]
)
def test_bad_flags_are_usage_errors(stocha, talking, tmp_path, command, flags, needle):
    output = tmp_path / "logits.safetensors"
    required = {
        "generate": ["--prompt", "a"],
        "eval": ["--perplexity", talking.folder / "tokenizer.json"],
        "logits": ["--output", output] + ([] if "--ids" in flags else ["--ids", "1"]),
    }[command]
    result = run(stocha, command, talking.folder, *required, *flags)
    assert_one_line_error(result, needle, code=2)
    assert result.stdout == "" and not output.exists()


@pytest.mark.parametrize("command", ["generate", "eval", "logits"])
def test_help_shows_an_example_and_missing_flags_are_usage_errors(stocha, command):
    assert f"stocha {command} models/" in run_ok(stocha, command, "--help")
    assert_one_line_error(run(stocha, command), "required", code=2)
    assert_one_line_error(run(stocha, command, "somewhere"), "required", code=2)


def test_bad_ids_are_refused_and_leave_no_file(stocha, relu, tmp_path):
    output = tmp_path / "logits.safetensors"
    for ids, needle in [
        ("97", "got 97, expected 0 to 96"),
        ("-1", "got -1"),
        ("1,99999999999", "got 99999999999"),
        (",".join(["1"] * 129), "got 129, expected 1 to 128"),
    ]:
        result = run(stocha, "logits", relu.folder, f"--ids={ids}", "--output", output)
        assert_one_line_error(result, needle)
    unwritable = tmp_path / "no" / "logits.safetensors"
    result = run(stocha, "logits", relu.folder, "--ids", "1", "--output", unwritable)
    assert_one_line_error(result, unwritable)
    assert list(tmp_path.iterdir()) == []


def test_bad_prompts_and_texts_are_refused(stocha, talking, relu, tmp_path):
    def generate(folder, prompt):
        return run(stocha, "generate", folder, "--prompt", prompt)

    assert_one_line_error(generate(talking.folder, ""), "prompt", "empty")
    assert_one_line_error(generate(talking.folder, TEXT * 20), "prompt", "expected 1 to 400")
    assert_one_line_error(generate(relu.folder, "a"), relu.folder, "tokenizer.json")
    assert_one_line_error(generate(tmp_path / "nothing", "a"), tmp_path / "nothing")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    for file, needle in ((empty, "0 tokens"), (tmp_path / "missing.txt", "cannot open")):
        result = run(stocha, "eval", talking.folder, "--perplexity", file)
        assert_one_line_error(result, file, needle)


def test_a_tokenizer_of_another_model_is_refused(stocha, relu, talking, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for file in relu.folder.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "tokenizer.json").symlink_to(talking.folder / "tokenizer.json")
    result = run(stocha, "generate", folder, "--prompt", TEXT)
    assert_one_line_error(result, "outside the vocabulary", "0 to 96")


def test_weights_that_are_no_numbers_are_an_error(stocha, talking, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for file in talking.folder.iterdir():
        (folder / file.name).symlink_to(file)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors")
    result = run(stocha, "generate", folder, "--prompt", TEXT)
    assert_one_line_error(result, "not finite")
    text = folder / "tokenizer.json"
    result = run(stocha, "eval", folder, "--perplexity", text, "--limit-tokens", "9")
    assert_one_line_error(result, "not finite")


def test_a_model_larger_than_memory_is_refused(stocha, relu, tmp_path):
    """A sparse file of terabytes: its header is true, its data takes no disk."""
    sizes = dict(vocab_size=4, hidden_size=1 << 17, intermediate_size=1 << 22, num_hidden_layers=1)
    heads = dict(num_attention_heads=1, num_key_value_heads=1, head_dim=2)
    shown = json.loads((relu.folder / "config.json").read_text()) | sizes | heads
    (tmp_path / "config.json").write_text(json.dumps(shown))
    hidden, neurons, layer = 1 << 17, 1 << 22, "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": [4, hidden],
        layer + "input_layernorm.weight": [hidden],
        layer + "self_attn.q_proj.weight": [2, hidden],
        layer + "self_attn.k_proj.weight": [2, hidden],
        layer + "self_attn.v_proj.weight": [2, hidden],
        layer + "self_attn.o_proj.weight": [hidden, 2],
        layer + "post_attention_layernorm.weight": [hidden],
        layer + "mlp.gate_proj.weight": [neurons, hidden],
        layer + "mlp.up_proj.weight": [neurons, hidden],
        layer + "mlp.down_proj.weight": [hidden, neurons],
        "model.norm.weight": [hidden],
        "lm_head.weight": [4, hidden],
    }
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(tmp_path / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        try:
            file.truncate(8 + len(text) + end)
        except OSError:
            pytest.skip(f"no sparse files of terabytes in {tmp_path}: choose another place with --basetemp")
    output = tmp_path / "logits.safetensors"
    result = run(stocha, "logits", tmp_path, "--ids", "1", "--output", output)
    assert_one_line_error(result, tmp_path, "not enough memory for the model", "4398.05 GB")
