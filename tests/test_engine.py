"""The engine against transformers: logits, generated text and perplexity of the same models; and that
neither threads nor skipping silent neurons change a bit of them."""

import dataclasses
import json
import os
import signal
import subprocess

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

from harness import assert_one_line_error, run, run_ok

SMALL = dict(
    vocab_size=97,
    hidden_size=54,
    intermediate_size=333,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=128,
    tie_word_embeddings=False,
)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500000.0,
}
LINEAR_ROPE = {"rope_type": "linear", "factor": 2.5, "rope_theta": 10000.0}


def config(kind, **changes):
    return {
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,  # has no head_dim
        "qwen3": transformers.Qwen3Config,
    }[kind](**(SMALL | changes))


MODELS = {
    "llama-relu": (config("llama", hidden_act="relu", head_dim=14), torch.float32),
    "llama-silu-tied-llama3-rope": (
        config("llama", head_dim=22, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
        torch.float32,
    ),
    "llama-relu2-bf16-linear-rope": (
        config("llama", hidden_act="relu2", head_dim=6, rope_parameters=LINEAR_ROPE),
        torch.bfloat16,
    ),
    # Without head_dim.
    "llama-f16": (
        config("llama", hidden_size=42, num_attention_heads=3, num_key_value_heads=1),
        torch.float16,
    ),
    "qwen2-relu": (config("qwen2", hidden_act="relu", hidden_size=60), torch.float32),
    "qwen2-silu-tied": (
        config("qwen2", hidden_size=36, num_key_value_heads=6, tie_word_embeddings=True),
        torch.float32,
    ),
    "qwen3-relu": (
        config("qwen3", hidden_act="relu", num_attention_heads=9, num_key_value_heads=3, head_dim=10),
        torch.float32,
    ),
    "qwen3-silu-bf16": (config("qwen3", head_dim=8, rope_parameters=LINEAR_ROPE), torch.bfloat16),
}
IDS = np.random.default_rng(0).integers(0, SMALL["vocab_size"], 77).tolist()


torch.set_num_threads(1)  # the models are tiny


@dataclasses.dataclass
class Saved:
    folder: object
    model: object  # float32, of the weights that were saved


def save_random_model(config, dtype, folder):
    """Weights large enough that every part of the model shows in the logits."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for name, weight in model.named_parameters():
        is_norm = "norm" in name
        torch.nn.init.normal_(weight, 1.0 if is_norm else 0.0, 0.1 if is_norm else 0.3)
    model.to(dtype).save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Saved(folder, model.eval())


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    return save_random_model(*MODELS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def relu(tmp_path_factory):
    return save_random_model(*MODELS["llama-relu"], tmp_path_factory.mktemp("relu"))


@pytest.fixture(scope="module")
def isas(stocha, relu, tmp_path_factory):
    """The instruction sets of this machine."""
    output = tmp_path_factory.mktemp("isas") / "logits.safetensors"
    found = []
    for isa in ("scalar", "avx2", "avx512"):
        environment = os.environ | {"STOCHA_ISA": isa}
        result = run(
            stocha, "logits", relu.folder, "--ids", "1", "--output", output, env=environment
        )
        if result.returncode == 0:
            found.append(isa)
        else:
            assert_one_line_error(result, "STOCHA_ISA", isa, "not available on this machine")
    assert found[0] == "scalar"
    return found


@pytest.fixture
def logits_of(stocha, tmp_path):
    """A function: the file that `stocha logits` writes, as bytes, and its tensor."""

    def call(folder, *args, ids=IDS, isa=None):
        output = tmp_path / "logits.safetensors"
        environment = os.environ | ({"STOCHA_ISA": isa} if isa else {})
        arguments = ["--ids", ",".join(map(str, ids)), "--output", output, *args]
        run_ok(stocha, "logits", folder, *arguments, env=environment)
        return output.read_bytes(), load_file(output)["logits"]

    return call


def assert_close(got, expected):
    """Within 1e-4 of the norm, and 1e-3 of the largest."""
    assert got.dtype == torch.float32 and got.shape == expected.shape
    assert (got - expected).norm() <= 1e-4 * expected.norm()
    assert (got - expected).abs().max() <= 1e-3 * expected.abs().max()


def reference_logits(model, ids=IDS):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def test_logits_equal_transformers(saved, logits_of, isas):
    expected = reference_logits(saved.model)
    for isa in isas:
        assert_close(logits_of(saved.folder, isa=isa)[1], expected)


def test_threads_and_skipping_do_not_change_a_bit(saved, logits_of, isas):
    for isa in isas:
        files = {
            logits_of(saved.folder, "--threads", threads, "--ffn", ffn, isa=isa)[0]
            for threads, ffn in ((1, "dense"), (1, "sparse"), (2, "sparse"), (3, "auto"))
        }
        assert len(files) == 1, isa


def test_vector_instruction_sets_agree_to_the_bit(relu, logits_of, isas):
    assert len({logits_of(relu.folder, isa=isa)[0] for isa in isas[1:]}) <= 1


def philox(key, counter):
    """Philox4x32-10 over arrays of counters, [..., 4]."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, axis=-1)


def coins(seed, layer, tokens, neurons, p):
    """[tokens, neurons] of booleans, as model/activation.h defines them."""
    row, block = np.meshgrid(np.arange(tokens), np.arange((neurons + 7) // 8), indexing="ij")
    counter = np.stack([block, row, np.full_like(row, layer), np.zeros_like(row)], axis=-1)
    words = philox(seed, counter)  # [tokens, blocks, 4]
    lanes = np.stack([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=-1)
    bits = lanes.reshape(tokens, -1)[:, :neurons]
    return torch.from_numpy(bits < np.uint64(round(p * 65536)))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["stocha", "expected"])
def test_stochastic_logits_equal_a_torch_reference(relu, logits_of, kind, p, monkeypatch):
    seed = 0x123456789ABCDEF
    silu = torch.nn.functional.silu

    def activation(layer):
        def call(x):
            if kind == "expected":
                return torch.where(x < 0, p * silu(x), x)
            coin = coins(seed, layer, x.shape[1], x.shape[2], p)
            return torch.where(x < 0, torch.where(coin, silu(x), 0), x)

        return call

    for index, layer in enumerate(relu.model.model.layers):
        monkeypatch.setattr(layer.mlp.act_fn, "forward", activation(index))
    flags = ["--activation", f"{kind}:{p}", "--seed", seed]
    sparse, tensor = logits_of(relu.folder, *flags, "--ffn", "sparse")
    assert_close(tensor, reference_logits(relu.model))
    assert sparse == logits_of(relu.folder, *flags, "--ffn", "dense", "--threads", 2)[0]


@pytest.mark.parametrize("activation", ["silu", "relu2"])
def test_activation_is_a_flag(relu, logits_of, activation, monkeypatch):
    act = transformers.activations.ACT2FN[activation]
    for layer in relu.model.model.layers:
        monkeypatch.setattr(layer.mlp.act_fn, "forward", act.forward)
    tensor = logits_of(relu.folder, "--activation", activation)[1]
    assert_close(tensor, reference_logits(relu.model))


TEXT = (
    "In the beginning the engine read one token after another, and the neurons that did not fire "
    "were not read. Größe, naïve, 日本語, 🙂! The same bits came out on one thread and on three.\n"
)


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A random model with a tokenizer."""
    folder = tmp_path_factory.mktemp("talking")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    size = dict(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=400, eos_token_id=0)
    saved = save_random_model(config("llama", hidden_act="relu", head_dim=8, **size), torch.float32, folder)
    saved.tokenizer = tokenizer
    return saved


def generate_json(stocha, saved, *args, prompt=TEXT):
    return json.loads(
        run_ok(stocha, "generate", saved.folder, "--prompt", prompt, "--json", "--ignore-eos", *args)
    )


@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_greedy_generation_equals_transformers(stocha, talking, penalty):
    prompt = torch.tensor([talking.tokenizer.encode(TEXT).ids])
    with torch.no_grad():
        expected = talking.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=60,
            do_sample=False,
            repetition_penalty=penalty,
            eos_token_id=None,
            pad_token_id=0,
        )[0, prompt.shape[1] :].tolist()
    arguments = ["--max-tokens", 60, "--repetition-penalty", penalty]
    for ffn in ("sparse", "dense"):
        shown = generate_json(stocha, talking, "--ffn", ffn, *arguments)
        assert shown["samples"][0]["ids"] == expected
        assert shown["samples"][0]["text"] == talking.tokenizer.decode(expected)
        assert shown["prompt_tokens"] == prompt.shape[1]


def test_text_streams_to_standard_output(stocha, talking):
    arguments = ["--max-tokens", 30, "--ignore-eos"]
    expected = generate_json(stocha, talking, "--max-tokens", 30)["samples"][0]["text"]
    result = run(stocha, "generate", talking.folder, "--prompt", "-", *arguments, input=TEXT)
    assert (result.returncode, result.stdout, result.stderr) == (0, expected + "\n", "")
    result = run(stocha, "generate", talking.folder, "--prompt", TEXT, "--stats", *arguments)
    assert result.stdout == expected + "\n"
    assert "tok/s" in result.stderr and "silent" in result.stderr


SAMPLING = ["--max-tokens", 25, "--temperature", 1.5, "--top-k", 50, "--top-p", 0.95, "--min-p", 0.01]


def test_samples_come_from_their_seeds_alone(stocha, talking):
    stochastic = [*SAMPLING, "--activation", "stocha:0.4", "--activation-prompt"]
    batch = generate_json(stocha, talking, *stochastic, "--seed", 5, "--num-samples", 3)["samples"]
    assert [sample["seed"] for sample in batch] == [5, 6, 7]
    assert len({sample["text"] for sample in batch}) == 3
    for threads, ffn, sample in zip((1, 2, 3), ("dense", "sparse", "auto"), batch):
        arguments = [*stochastic, "--seed", sample["seed"], "--threads", threads, "--ffn", ffn]
        assert generate_json(stocha, talking, *arguments)["samples"] == [sample]


def test_activation_applies_to_generated_tokens_and_on_request_to_the_prompt(stocha, talking):
    def ids_of(*args):
        shown = generate_json(stocha, talking, "--max-tokens", 20, *args)
        return [sample["ids"] for sample in shown["samples"]]

    plain = ids_of()[0]
    stochastic = ["--activation", "stocha:0.5", "--num-samples", 4]
    drawn = ids_of(*stochastic)
    assert all(ids[0] == plain[0] and ids != plain for ids in drawn)
    assert ids_of(*stochastic, "--activation-prompt") != drawn


def test_statistics_tell_what_fired(stocha, talking):
    shown = generate_json(stocha, talking, "--max-tokens", 20)
    assert shown["decode"]["tokens"] == 19
    assert len(shown["decode"]["sparsity"]) == SMALL["num_hidden_layers"]
    assert all(0.2 < silent < 0.8 for silent in shown["decode"]["sparsity"])
    silu = generate_json(stocha, talking, "--max-tokens", 20, "--activation", "silu")
    assert silu["decode"]["sparsity"] == [0] * SMALL["num_hidden_layers"]


def test_generation_stops_at_eos_and_at_the_end_of_the_context(stocha, talking, tmp_path):
    ids = generate_json(stocha, talking, "--max-tokens", 12)["samples"][0]["ids"]
    folder = tmp_path / "model"
    folder.mkdir()
    for file in talking.folder.iterdir():
        (folder / file.name).symlink_to(file)
    changed = json.loads((folder / "config.json").read_text()) | {"eos_token_id": ids[7]}
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(changed))
    arguments = ["--prompt", TEXT, "--max-tokens", 12, "--json"]
    sample = json.loads(run_ok(stocha, "generate", folder, *arguments))["samples"][0]
    assert (sample["ids"], sample["stop"]) == (ids[: ids.index(ids[7])], "stop_id")
    shown = generate_json(stocha, talking, "--max-tokens", 1000)
    assert shown["samples"][0]["stop"] == "context_full"
    assert len(shown["samples"][0]["ids"]) == 400 - shown["prompt_tokens"] + 1


def test_interrupting_generation_ends_cleanly(stocha, talking):
    command = [stocha, "generate", talking.folder, "--prompt", "-", "--ignore-eos"]
    long_run = ["--max-tokens", "1000", "--num-samples", "512", "--json", "--threads", "1"]
    with subprocess.Popen(
        [*map(str, command), *long_run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write(TEXT)
        process.stdin.close()
        while "stocha" not in open(f"/proc/{process.pid}/comm", encoding="utf-8").read():
            pass
        # The handler is there once SIGINT is in the mask of caught signals.
        while not caught_signals(process.pid) & (1 << (signal.SIGINT - 1)):
            pass
        process.send_signal(signal.SIGINT)
        output, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0
    assert "stopping" in errors
    assert json.loads(output)["samples"][0]["stop"] == "cancelled"


def caught_signals(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("SigCgt")).split()[1], 16)


def reference_nll(model, ids, context, stride):
    """Sum over scored tokens, and their count, by the definition in eval/perplexity.h."""
    total, count, scored_to = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        window = ids[begin : begin + context]
        first = max(scored_to - begin, 1)
        logits = reference_logits(model, window)
        nll = torch.nn.functional.cross_entropy(
            logits[first - 1 : -1].double(), torch.tensor(window[first:]), reduction="sum"
        )
        total, count, scored_to = total + nll.item(), count + len(window) - first, begin + len(window)
        if scored_to == len(ids):
            return total, count


@pytest.mark.parametrize("context, stride", [(64, 20), (400, 200), (32, 32)])
def test_perplexity_equals_transformers(stocha, talking, tmp_path, context, stride):
    file = tmp_path / "text.txt"
    file.write_text(TEXT * 4, encoding="utf-8")
    ids = talking.tokenizer.encode(TEXT * 4).ids
    nll, count = reference_nll(talking.model, ids, context, stride)
    arguments = ["--context", context, "--stride", stride, "--json"]
    output = run_ok(stocha, "eval", talking.folder, "--perplexity", file, *arguments)
    shown = json.loads(output)
    assert shown["tokens"] == count
    assert shown["nll_per_token"] == pytest.approx(nll / count, rel=1e-4)
    assert shown["perplexity"] == pytest.approx(np.exp(nll / count), rel=1e-3)
    assert len(shown["sparsity"]) == SMALL["num_hidden_layers"]
    if stride < context:
        first = len(talking.tokenizer.decode(ids[:1]).encode())
        assert shown["bytes"] == len((TEXT * 4).encode()) - first
        assert shown["bits_per_byte"] == pytest.approx(nll / np.log(2) / shown["bytes"], rel=1e-4)


def test_perplexity_of_the_first_tokens_and_of_one_seed(stocha, talking, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")

    def evaluate(*args):
        output = run_ok(stocha, "eval", talking.folder, "--perplexity", file, "--json", *args)
        return json.loads(output)

    assert evaluate("--limit-tokens", 11)["tokens"] == 10
    drawn = ["--activation", "stocha:0.5", "--seed"]
    assert evaluate(*drawn, 3)["perplexity"] == evaluate(*drawn, 3, "--threads", 2)["perplexity"]
    assert evaluate(*drawn, 3)["perplexity"] != evaluate(*drawn, 4)["perplexity"]


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
            pytest.skip("this file system has no sparse files of terabytes")
    output = tmp_path / "logits.safetensors"
    result = run(stocha, "logits", tmp_path, "--ids", "1", "--output", output)
    assert_one_line_error(result, tmp_path, "not enough memory for the model", "4398.05 GB")
