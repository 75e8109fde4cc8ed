"""Packed models: values against the gguf package, commands that read them, memory, bad files."""

import json
import os
import pathlib
import shutil
import subprocess

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from gguf import GGMLQuantizationType as GgmlType

from harness import assert_one_line_error, run, run_ok
from packed_rows import ggml_rows, nibbles, steps
from random_models import TEXT, config, save_random_model, save_talking_model

TYPES = ["f32", "bf16", "q8_0", "q4_0", "q4_k", "mixed"]
DOWN = "model.layers.1.mlp.down_proj.weight"
UP = "model.layers.1.mlp.up_proj.weight"
GATE = "model.layers.1.mlp.gate_proj.weight"
EMBEDDING = "model.embed_tokens.weight"
QUERY = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Rows of 768 values, so that every type fits and a row has a whole step and a part of one, of
    weights as small as they are in real models of this size: larger ones make chaos of the last bit."""
    size = dict(hidden_size=768, intermediate_size=320, num_attention_heads=8, head_dim=32)
    return save_talking_model(tmp_path_factory.mktemp("model"), deviation=0.04, **size)


@pytest.fixture(scope="module")
def packed(stocha, model):
    """The packed file of a type, made once."""
    made = {}

    def get(kind) -> pathlib.Path:
        if kind not in made:
            made[kind] = model.folder.parent / f"{model.folder.name}-{kind}.gguf"
            run_ok(stocha, "quantize", model.folder, made[kind], "--type", kind)
        return made[kind]

    return get


@pytest.fixture(scope="module")
def unpacked(stocha, packed):
    """What `stocha convert` makes of a packed file: its values in F32."""
    made = {}

    def get(kind) -> dict[str, np.ndarray]:
        if kind not in made:
            folder = packed(kind).with_suffix(".dir")
            run_ok(stocha, "convert", packed(kind), folder, "--dtype", "f32")
            tensors = safetensors.torch.load_file(folder / "model.safetensors")
            made[kind] = {name: tensor.numpy() for name, tensor in tensors.items()}
        return made[kind]

    return get


def rows_of(tensors, name):
    """The matrix as its rows are stored: down is transposed."""
    return tensors[name].T.copy() if name == DOWN else tensors[name]


def quantized(weights, kind):
    return gguf.quants.dequantize(gguf.quants.quantize(weights, kind), kind)


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_no_block_is_further_off_than_the_reference_quantisers(model, unpacked, kind):
    weights = {key: value.numpy() for key, value in model.model.state_dict().items()}
    for name in (QUERY, GATE, UP, DOWN):
        rows = rows_of(weights, name)
        error, reference = (
            np.square(values - rows).reshape(-1, 32).sum(1)
            for values in (rows_of(unpacked(kind), name), quantized(rows, GgmlType[kind.upper()]))
        )
        assert (error <= reference * (1 + 1e-5)).all()
        assert error.sum() < 0.9 * reference.sum()


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "q4_k"])
def test_rows_are_ggmls_values(packed, unpacked, kind):
    """The bytes of the file, moved to ggml's places, say what convert says."""
    reader = gguf.GGUFReader(packed(kind))
    stored = {tensor.name: np.asarray(tensor.data).view(np.uint8) for tensor in reader.tensors}
    ggml = GgmlType[kind.upper()]
    neurons = stored["model.layers.1.mlp.neurons"]
    up, down = np.split(neurons, 2, axis=1)
    cases = {QUERY: stored[QUERY], UP: up, DOWN: down}
    if kind != "q8_0":
        cases[GATE] = stored[GATE]
        vocabulary = ggml_rows(stored[EMBEDDING], 768, "q6_k", False)
        np.testing.assert_array_equal(
            rows_of(unpacked(kind), EMBEDDING),
            gguf.quants.dequantize(vocabulary, GgmlType.Q6_K),
        )
    for name, rows in cases.items():
        expected = gguf.quants.dequantize(ggml_rows(rows, 768, kind, name == DOWN), ggml)
        np.testing.assert_array_equal(rows_of(unpacked(kind), name), expected)


def test_q8_0_planes_are_the_two_halves(packed, unpacked):
    reader = gguf.GGUFReader(packed("q8_0"))
    stored = {tensor.name: np.asarray(tensor.data).view(np.uint8) for tensor in reader.tensors}
    high, low = stored[GATE + ".high"], stored[GATE + ".low"]
    expected = []
    for step, values in steps(high, 768, 18):
        low_step, low = low[:, : values // 2], low[:, values // 2 :]
        q = nibbles(step[:, : values // 2]).astype(np.int16) * 16 + nibbles(low_step) - 128
        d = step[:, values // 2 :].copy().view(np.float16).astype(np.float32)
        expected.append((d[:, :, None] * q.astype(np.float32)).reshape(len(high), -1))
    expected = np.concatenate(expected, axis=1)
    np.testing.assert_array_equal(unpacked("q8_0")[GATE], expected)


def logits_of(stocha, model, output, ids="5,6,7,8,9,10,11"):
    run_ok(stocha, "logits", model, "--ids", ids, "--output", output)
    return safetensors.torch.load_file(output)["logits"]


def test_f32_gives_the_same_bits(stocha, model, packed, tmp_path):
    expected = logits_of(stocha, model.folder, tmp_path / "a")
    assert torch.equal(logits_of(stocha, packed("f32"), tmp_path / "b"), expected)


def in_8_bits(module, inputs):
    """The input of a matrix as packed rows are multiplied with: 32 values have a scale."""
    blocks = inputs[0].unflatten(-1, (-1, 32))
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    return (torch.round(blocks / scale) * scale).flatten(-2)


@pytest.mark.parametrize("kind", TYPES)
def test_transformers_agrees_on_the_converted_model(stocha, packed, unpacked, kind, tmp_path):
    unpacked(kind)
    folder = packed(kind).with_suffix(".dir")
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, module in reference.named_modules():
        is_packed = isinstance(module, torch.nn.Linear) and kind not in ("f32", "bf16")
        if is_packed and not name.endswith("down_proj"):  # down adds up rows, in floats
            module.register_forward_pre_hook(in_8_bits)
    errors = []
    for ids in [[5], [6], [7], [8], [9], [10], [11, 12, 13, 14]]:
        with torch.no_grad():
            expected = reference(torch.tensor([ids])).logits[0]
        got = logits_of(stocha, packed(kind), tmp_path / "logits", ",".join(map(str, ids)))
        errors.append(float((got - expected).norm() / expected.norm()))
    # Now and then a value lies so near the middle of two integers that the last bit decides between
    # them, and this grows to the size of the rounding itself.
    assert sorted(errors)[3] < 1e-4 and max(errors) < 0.03, errors


@pytest.mark.parametrize("kind", ["q8_0", "q4_k", "mixed"])
def test_inputs_of_16_bits_are_nearly_what_the_weights_say(
    stocha, packed, unpacked, kind, tmp_path
):
    unpacked(kind)
    folder = packed(kind).with_suffix(".dir")
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected = reference(torch.arange(5, 12)[None]).logits[0]
    error = {}
    for bits in ("8", "16"):
        ids = "5,6,7,8,9,10,11"
        output = tmp_path / bits
        command = ["logits", packed(kind), "--ids", ids, "--output", output]
        run_ok(stocha, *command, "--input-bits", bits)
        got = safetensors.torch.load_file(output)["logits"]
        error[bits] = float((got - expected).norm() / expected.norm())
    assert error["16"] < 2e-4 and error["16"] < error["8"] / 30, error


@pytest.mark.parametrize("kind", TYPES)
def test_commands_take_a_packed_model(stocha, model, packed, tmp_path, kind):
    file = packed(kind)
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    dense, exact = (
        run_ok(stocha, "generate", file, "--prompt", "In the", "--max-tokens", 20, "--ffn", ffn)
        for ffn in ("dense", "exact")
    )
    assert dense == exact and len(dense) > 1
    shown, plain = (
        json.loads(run_ok(stocha, "eval", path, "--perplexity", text, "--json"))["results"][0]
        for path in (file, model.folder)
    )
    assert shown["perplexity"] == pytest.approx(plain["perplexity"], rel=0.5)
    ids = json.loads(run_ok(stocha, "encode", file, input=TEXT))
    assert ids == model.tokenizer.encode(TEXT).ids
    assert run_ok(stocha, "decode", file, input=json.dumps(ids)) == TEXT
    shown = json.loads(run_ok(stocha, "inspect", file, "--json", "--tensors"))
    assert shown["dtype"] == kind and shown["tokenizer_vocab_size"] == 300
    assert "model.layers.2.mlp.neurons" in [tensor["name"] for tensor in shown["tensors"]]


@pytest.mark.parametrize("kind", TYPES)
def test_every_instruction_set_generates_the_same(stocha, packed, isas, kind):
    command = [stocha, "generate", packed(kind), "--prompt", "In the", "--max-tokens", 20]
    texts = {}
    for isa in isas:
        environment = os.environ | {"STOCHA_ISA": isa}
        dense, exact = (run_ok(*command, "--ffn", ffn, env=environment) for ffn in ("dense", "exact"))
        assert dense == exact, isa
        texts[isa] = dense
    assert len(set(texts.values())) == 1, texts


def test_summary_says_types_and_errors(stocha, model, tmp_path):
    out = tmp_path / "a.gguf"
    summary = json.loads(
        run_ok(stocha, "quantize", model.folder, out, "--type", "mixed", "--json")
    )
    parts = {part["part"]: part for part in summary["parts"]}
    assert summary["bytes"] == out.stat().st_size
    assert parts["gate"]["type"].startswith("q4") and parts["up"]["type"] == "q8_0"
    assert 0 < parts["up"]["relative_error"] < 0.01 < parts["gate"]["relative_error"] < 0.15
    assert "relative error" in run_ok(stocha, "quantize", model.folder, out, "--type", "q8_0")


CHAT = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
NAMED = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": CHAT}]


@pytest.mark.parametrize("where", ["file", "config", "both", "list", "nowhere"])
def test_the_chat_template_is_kept(stocha, model, tmp_path, where):
    source = tmp_path / "source"
    shutil.copytree(model.folder, source)
    in_config = {"config": CHAT, "both": "not this one", "list": NAMED}.get(where)
    if where in ("file", "both"):
        (source / "chat_template.jinja").write_text(CHAT)
    if in_config:
        (source / "tokenizer_config.json").write_text(json.dumps({"chat_template": in_config}))
    packed, again, back = tmp_path / "a.gguf", tmp_path / "b.gguf", tmp_path / "back"
    run_ok(stocha, "quantize", source, packed, "--type", "bf16")
    run_ok(stocha, "quantize", packed, again, "--type", "q8_0")
    run_ok(stocha, "convert", again, back)
    for path in (source, packed, again, back):
        shown = json.loads(run_ok(stocha, "inspect", path, "--json"))
        assert shown["chat_template"] == (where != "nowhere")
    for path in (packed, again):
        field = gguf.GGUFReader(path).get_field("tokenizer.chat_template")
        assert (field and field.contents()) == (None if where == "nowhere" else CHAT)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(back)
    if where == "nowhere":
        assert not tokenizer.chat_template
    else:
        messages = [{"role": "user", "content": "hello"}]
        assert tokenizer.apply_chat_template(messages, tokenize=False) == "<user>hello\n"
    run_ok(stocha, "quantize", source, packed, "--type", "bf16", "--no-tokenizer")
    assert gguf.GGUFReader(packed).get_field("tokenizer.chat_template") is None
    assert "chat template            none" in run_ok(stocha, "inspect", packed)


def test_a_chat_template_that_is_none_is_refused(stocha, model, tmp_path):
    source, packed = tmp_path / "source", tmp_path / "a.gguf"
    shutil.copytree(model.folder, source)
    (source / "tokenizer_config.json").write_text('{"chat_template": 1}')
    result = run(stocha, "quantize", source, packed, "--type", "bf16")
    assert_one_line_error(result, "tokenizer_config.json", "chat_template", "--no-tokenizer")
    assert not packed.exists()


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_inspect_says_the_same_parts(stocha, tmp_path, kind):
    """Biases and norms too, which Qwen2 and Qwen3 have within attention."""
    even = config(kind, hidden_size=64, num_attention_heads=4)
    save_random_model(even, torch.float32, tmp_path / "model")
    out = tmp_path / "a.gguf"
    command = ["quantize", tmp_path / "model", out, "--type", "bf16", "--layout", "neurons"]
    summary = json.loads(run_ok(stocha, *command, "--json"))
    bytes_of = dict.fromkeys(("embedding", "attention", "ffn", "norms", "head"), 0)
    for part in summary["parts"]:
        bytes_of[part["part"] if part["part"] in bytes_of else "ffn"] += part["bytes"]
    assert json.loads(run_ok(stocha, "inspect", out, "--json"))["bytes"] == bytes_of


def test_rows_that_do_not_fit_fall_back(stocha, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    save_talking_model(folder)  # rows of 54 values
    out = tmp_path / "odd.gguf"
    assert "no whole blocks of q4_k" in run_ok(stocha, "quantize", folder, out, "--type", "q4_k")
    assert "bf16" in run_ok(stocha, "inspect", out)
    run_ok(stocha, "generate", out, "--prompt", "In", "--max-tokens", 3)


def test_a_packed_model_is_quantised_again(stocha, model, packed, tmp_path):
    out = tmp_path / "again.gguf"
    run_ok(stocha, "quantize", packed("f32"), out, "--type", "q8_0")
    assert out.read_bytes() == packed("q8_0").read_bytes()


def peak_memory(stocha, file) -> int:
    """The largest resident size of a run, mapped pages too, in bytes."""
    process = subprocess.Popen(
        [stocha, "generate", file, "--prompt", "In the", "--max-tokens", "4", "--threads", "1"],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss * 1024


def test_memory_is_the_file_and_the_cache(stocha, packed, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    size = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=7, head_dim=64)
    save_talking_model(folder, dtype=torch.bfloat16, num_attention_heads=16, **size)
    file = tmp_path / "large.gguf"
    run_ok(stocha, "quantize", folder, file, "--type", "bf16")
    small = packed("bf16")
    cache = 7 * 2 * 2 * 64 * 4 * 400  # layers, keys and values of 2 heads, the whole context
    grown = peak_memory(stocha, file) - (peak_memory(stocha, small) - small.stat().st_size)
    assert file.stat().st_size > 190e6
    assert grown <= 1.05 * file.stat().st_size + cache


def test_refusals(stocha, model, packed, tmp_path):
    out = tmp_path / "out.gguf"
    assert_one_line_error(
        run(stocha, "quantize", model.folder, out, "--type", "q5_1"), "q5_1", "mixed", code=2
    )
    assert_one_line_error(run(stocha, "quantize", tmp_path / "none", out, "--type", "q8_0"), "none")
    file = tmp_path / "in.gguf"
    file.write_bytes(packed("f32").read_bytes())
    assert_one_line_error(
        run(stocha, "quantize", file, file, "--type", "q8_0"), "in.gguf", "would replace"
    )
    weights = model.folder / "model.safetensors"
    assert_one_line_error(
        run(stocha, "quantize", model.folder, weights, "--type", "q8_0"), "would replace"
    )
    assert not out.exists()


def test_bad_files(stocha, packed, tmp_path):
    good = packed("q8_0").read_bytes()
    bad = tmp_path / "bad.gguf"

    def error_of(content):
        bad.write_bytes(content)
        return run(stocha, "generate", bad, "--prompt", "In")

    assert_one_line_error(error_of(good[:-5000]), "bad.gguf")
    assert_one_line_error(error_of(b"not a GGUF at all"), "bad.gguf")
    key = b"stocha.version" + (4).to_bytes(4, "little")
    at = good.index(key) + len(key)
    newer = good[:at] + (7).to_bytes(4, "little") + good[at + 4 :]
    assert_one_line_error(error_of(newer), "bad.gguf", "made by a newer stocha", "7")
    renamed = good.replace(b"neurons:q8_0", b"neurons:q4_0", 1)
    assert_one_line_error(error_of(renamed), "mlp.neurons")


def test_another_gguf_says_what_to_do(stocha, tmp_path):
    file = tmp_path / "llama.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert_one_line_error(
        run(stocha, "generate", file, "--prompt", "In"), "llama", f"stocha quantize {file} OUT.gguf"
    )
