"""Model directories: what transformers and safetensors write is read, and the other way round; what is
broken is refused in one line."""

import json
import shutil
import struct

import pytest
import tokenizers
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from harness import assert_one_line_error, run, run_ok

SMALL = dict(
    vocab_size=97,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
    "rope_theta": 500000.0,
}
MODELS = {
    "llama": lambda: transformers.LlamaConfig(**SMALL, hidden_act="relu"),
    "llama-tied-head-dim": lambda: transformers.LlamaConfig(
        **SMALL, tie_word_embeddings=True, head_dim=10, rope_parameters=LLAMA3_ROPE, dtype="bfloat16"
    ),
    "llama-linear-rope": lambda: transformers.LlamaConfig(
        **SMALL,
        hidden_act="relu2",
        eos_token_id=[5, 7],
        rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 10000.0},
    ),
    "qwen2": lambda: transformers.Qwen2Config(**SMALL, dtype="float16", rms_norm_eps=1e-5),
    "qwen3": lambda: transformers.Qwen3Config(**SMALL, head_dim=6, bos_token_id=3),
}


def save_random_model(config, folder, **save_args):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, **save_args)
    return model


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    """(folder, model) of a random model, saved by transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, save_random_model(MODELS[request.param](), folder)


@pytest.fixture
def copied(tmp_path_factory, tmp_path):
    """A copy of a small model, for a test to change or break."""
    source = tmp_path_factory.getbasetemp() / "to-copy"
    if not source.exists():
        save_random_model(MODELS["llama"](), source)
    return shutil.copytree(source, tmp_path / "model")


def inspect(stocha, folder, *args):
    return json.loads(run_ok(stocha, "inspect", folder, "--json", *args))


def test_inspect_agrees_with_transformers(stocha, saved):
    folder, model = saved
    shown = inspect(stocha, folder, "--tensors")
    config = model.config
    assert shown["parameters"] == model.num_parameters()
    assert shown["activation"] == config.hidden_act
    assert shown["sparse"] == (config.hidden_act != "silu")
    assert shown["tokenizer_vocab_size"] is None
    expected = {name: list(t.shape) for name, t in model.state_dict().items()}
    if config.tie_word_embeddings:
        del expected["lm_head.weight"]
    assert {t["name"]: t["shape"] for t in shown["tensors"]} == expected
    assert sum(shown["bytes"].values()) == sum(t["bytes"] for t in shown["tensors"])
    stored = load_file(folder / "model.safetensors")
    assert sum(shown["bytes"].values()) == sum(t.nbytes for t in stored.values())


def test_transformers_reads_the_config_we_write(stocha, saved, tmp_path):
    """`inspect` shows config.json as export writes it: transformers gets the same model from it."""
    folder, model = saved
    written = inspect(stocha, folder)["config"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    shutil.copy(folder / "model.safetensors", tmp_path)
    ours = transformers.AutoConfig.from_pretrained(tmp_path).to_dict()
    theirs = transformers.AutoConfig.from_pretrained(folder).to_dict()
    for config in (ours, theirs):
        config.pop("_name_or_path")
        if config["model_type"] == "qwen2":
            config.pop("head_dim", None)  # derived, or written out as the same number
    assert ours == theirs

    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(again) is type(model)
    ids = torch.arange(50).reshape(1, -1)
    with torch.no_grad():
        assert torch.equal(again.float()(ids).logits, model.float()(ids).logits)


def test_a_stochastic_model_stops_other_loaders(stocha, copied):
    config = json.loads((copied / "config.json").read_text())
    del config["hidden_act"]
    config |= {
        "architectures": ["StochaForCausalLM"],
        "model_type": "stocha",
        "base_model_type": "llama",
        "activation": "stocha:0.7,smooth",
    }
    (copied / "config.json").write_text(json.dumps(config))
    shown = inspect(stocha, copied)
    assert shown["activation"] == "stocha:0.7,smooth"
    assert not shown["sparse"]
    with pytest.raises(ValueError, match="stocha"):
        transformers.AutoModelForCausalLM.from_pretrained(copied)


def test_shards_give_the_same_as_one_file(stocha, tmp_path):
    one, many = tmp_path / "one", tmp_path / "many"
    model = save_random_model(MODELS["qwen3"](), one)
    model.save_pretrained(many, max_shard_size="8KB")
    assert len(list(many.glob("*.safetensors"))) > 2
    first, second = (inspect(stocha, folder, "--tensors") for folder in (one, many))
    del first["model"], second["model"]
    assert first == second


def test_safetensors_reads_what_we_write(stocha, copied, tmp_path):
    output = tmp_path / "logits.safetensors"
    run_ok(stocha, "logits", copied, "--ids", "1,2,3", "--output", output)
    with safe_open(output, "pt") as file:
        assert file.metadata() == {"activation": "relu"}
        assert list(file.keys()) == ["logits"]
        logits = file.get_tensor("logits")
    assert logits.shape == (3, SMALL["vocab_size"])
    model = transformers.AutoModelForCausalLM.from_pretrained(copied)
    with torch.no_grad():
        expected = model(torch.tensor([[1, 2, 3]])).logits[0]
    assert torch.allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_inspect_reads_the_tokenizer(stocha, copied):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator(
        ["the light and the darkness"] * 9,
        tokenizers.trainers.BpeTrainer(
            vocab_size=270, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    tokenizer.save(str(copied / "tokenizer.json"))
    assert inspect(stocha, copied)["tokenizer_vocab_size"] == tokenizer.get_vocab_size()
    truncate("tokenizer.json", 1000)(copied)
    assert_one_line_error(run(stocha, "inspect", copied), "tokenizer.json", "broken JSON")


def test_the_table_shows_the_same(stocha, saved):
    folder, model = saved
    table = run_ok(stocha, "inspect", folder, "--tensors")
    assert f"{model.num_parameters()}\n" in table
    assert "model.layers.2.mlp.down_proj.weight" in table
    assert "example" in run_ok(stocha, "inspect", "--help").lower()


# What is wrong with a model directory, and what the message must name.


def edit_config(**changes):
    def edit(folder):
        path = folder / "config.json"
        config = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))

    return edit


def edit_header(change):
    """change(header) edits the JSON header of model.safetensors in place."""

    def edit(folder):
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        change(header)
        write_safetensors(path, json.dumps(header), data[8 + length :])

    return edit


def write_safetensors(path, header, data=b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + data)


def write_weights(header, data=b""):
    return lambda folder: write_safetensors(folder / "model.safetensors", header, data)


def truncate(name, size):
    """Keeps `size` bytes of a file; all but the last -size ones when negative."""

    def edit(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:size])

    return edit


def flip_bit(offset):
    def edit(folder):
        path = folder / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[offset] ^= 0x40
        path.write_bytes(data)

    return edit


def set_entry(key, value):
    return edit_header(lambda header: header["model.norm.weight"].update({key: value}))


def rename_tensor(header):
    header["model.norm.bias"] = header.pop("model.norm.weight")


def duplicate_name(folder):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    old, new = b'"model.layers.0.input_layernorm.weight"', b'"model.norm.weight"'
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new.ljust(len(old))))


def lose_a_shard(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "a.safetensors")
    weight_map = dict.fromkeys(tensors, "a.safetensors") | {"model.norm.weight": "b.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def escape_the_folder(folder):
    shutil.move(folder / "model.safetensors", folder.parent / "a.safetensors")
    index = {"weight_map": {"model.norm.weight": "../a.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def integer_weights(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].int()
    (folder / "model.safetensors").write_bytes(save(tensors))


BROKEN = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json", "No such file"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    "config is a folder": (
        lambda f: ((f / "config.json").unlink(), (f / "config.json").mkdir()),
        "config.json",
        "a folder",
    ),
    "config truncated": (truncate("config.json", 100), "config.json", "broken JSON at byte"),
    "config empty": (truncate("config.json", 0), "config.json", "broken JSON"),
    "config is binary": (
        lambda f: (f / "config.json").write_bytes(bytes(range(256))),
        "config.json",
        "broken JSON",
    ),
    "config deep": (
        lambda f: (f / "config.json").write_text("[" * 1_000_000),
        "config.json",
        "nested too deep",
    ),
    "config twice a key": (
        lambda f: (f / "config.json").write_text('{"vocab_size": 1, "vocab_size": 2}'),
        "vocab_size",
    ),
    "other architecture": (
        edit_config(model_type="gemma3", architectures=["Gemma3ForCausalLM"]),
        "gemma3",
    ),
    "other activation": (edit_config(hidden_act="gelu"), "hidden_act", "gelu"),
    "huge sizes": (edit_config(hidden_size=2**62), "hidden_size", 2**62),
    "negative layers": (edit_config(num_hidden_layers=-1), "num_hidden_layers", -1),
    "size is text": (edit_config(vocab_size="many"), "vocab_size", "many"),
    "heads do not divide": (edit_config(num_key_value_heads=4), "num_key_value_heads"),
    "size missing": (edit_config(intermediate_size=None), "intermediate_size", "got nothing"),
    "quantised": (edit_config(quantization_config={"bits": 4}), "quantization_config"),
    "fewer layers than tensors": (edit_config(num_hidden_layers=2), "model.layers.2."),
    "more layers than tensors": (edit_config(num_hidden_layers=4), "model.layers.3.", "got nothing"),
    "other vocabulary": (edit_config(vocab_size=98), "embed_tokens", "[97,24]", "[98,24]"),
    "biases missing": (
        edit_config(model_type="qwen2", architectures=["Qwen2ForCausalLM"]),
        "q_proj.bias",
    ),
    "weights empty": (truncate("model.safetensors", 0), "too short"),
    "weights cut in the length": (truncate("model.safetensors", 5), "too short"),
    "weights cut in the header": (truncate("model.safetensors", 500), "header length"),
    "weights cut in the data": (truncate("model.safetensors", -1), "past the end"),
    "weights too long": (
        lambda f: (f / "model.safetensors").open("ab").write(b"x"),
        "after the last tensor",
    ),
    "length huge": (flip_bit(7), "header length"),
    "length flipped": (flip_bit(0), "model.safetensors"),
    "header flipped": (flip_bit(8), "broken JSON"),
    "weights deep": (write_weights("[" * 1_000_000), "nested too deep"),
    "weights an array": (write_weights("[]"), "a JSON object"),
    "no tensors": (write_weights("{}"), "embed_tokens", "got nothing"),
    "offset past the end": (
        write_weights('{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}', b"1"),
        "past the end",
    ),
    "offset negative": (set_entry("data_offsets", [-4, 92]), "data_offsets", "-4"),
    "offsets swapped": (set_entry("data_offsets", [96, 0]), "data_offsets"),
    "offsets overlap": (set_entry("data_offsets", [0, 96]), "overlaps"),
    "offsets not integers": (set_entry("data_offsets", [0.5, 96.5]), "data_offsets"),
    "shape huge": (set_entry("shape", [2**62, 4]), "model.norm.weight.shape"),
    "shape negative": (set_entry("shape", [-24]), "model.norm.weight.shape"),
    "shape larger than data": (set_entry("shape", [25]), "100 bytes"),
    "type unknown": (set_entry("dtype", "F8_E4M3"), "F8_E4M3"),
    "type integer": (integer_weights, "model.norm.weight", "I32"),
    "name twice": (duplicate_name, "model.norm.weight", "twice"),
    "name unexpected": (edit_header(rename_tensor), "model.norm.weight", "got nothing"),
    "shard missing": (lose_a_shard, "b.safetensors"),
    "shard outside": (escape_the_folder, "../a.safetensors", "beside the index"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_is_refused_in_one_line(stocha, copied, case):
    damage, *needles = BROKEN[case]
    damage(copied)
    assert_one_line_error(run(stocha, "inspect", copied), copied, *needles)


def test_a_missing_folder_is_refused(stocha, tmp_path):
    assert_one_line_error(run(stocha, "inspect", tmp_path / "none"), "none", "nothing there")
    (tmp_path / "file").touch()
    assert_one_line_error(run(stocha, "inspect", tmp_path / "file"), "a file")
    assert_one_line_error(run(stocha, "inspect", "x" * 5000), "not a model directory")
    assert_one_line_error(run(stocha, "inspect"), "MODEL", code=2)


def test_every_flipped_byte_of_the_header_is_survived(stocha, copied):
    """Whatever a damaged header says, the answer is a result or one line."""
    path = copied / "model.safetensors"
    data = path.read_bytes()
    for offset in range(0, 400, 13):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :])
        result = run(stocha, "inspect", copied)
        if result.returncode != 0:
            assert_one_line_error(result)
