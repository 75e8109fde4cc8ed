"""A real model out of a GGUF: SmolLM2-135M-Instruct, 4-bit matrices and an 8-bit embedding."""

import json

import gguf
import numpy as np
import transformers
from safetensors import safe_open

from gguf_files import LAYER_NAMES, deinterleave, gguf_name
from harness import run_ok


def test_it_knows_the_capital_of_france(stocha, smollm2):
    flags = ["--prompt", "The capital of France is", "--max-tokens", "4", "--temperature", "0"]
    assert run_ok(stocha, "generate", smollm2, *flags, timeout=120).strip().startswith("Paris")


def test_values_are_those_of_the_file(smollm2):
    reader = gguf.GGUFReader(next(smollm2.glob("*.gguf")))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = transformers.AutoConfig.from_pretrained(smollm2)
    names = [f"model.layers.7.{part}.weight" for part in LAYER_NAMES if "_norm" not in part]
    with safe_open(smollm2 / "model.safetensors", "np") as got:
        assert len(got.keys()) == len(tensors)
        for name in ["model.norm.weight", *names]:
            tensor = tensors[gguf_name(name)]
            expected = gguf.dequantize(tensor.data, tensor.tensor_type)
            if "q_proj" in name or "k_proj" in name:
                expected = deinterleave(config, name, expected)
            values = got.get_tensor(name)
            assert np.array_equal(values.view(np.uint32), expected.view(np.uint32)), name


def test_its_chat_template_is_taken_along(smollm2):
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], tokenize=False, add_generation_prompt=True
    )
    assert text.endswith("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.eos_token == "<|im_end|>"
    config = json.loads((smollm2 / "config.json").read_text())
    assert config["eos_token_id"] == tokenizer.eos_token_id


def test_inspect_shows_the_gguf_and_the_model_alike(stocha, smollm2):
    file = next(smollm2.glob("*.gguf"))
    of_file, of_folder = (
        json.loads(run_ok(stocha, "inspect", path, "--json", "--tensors"))
        for path in (file, smollm2)
    )
    assert of_file["dtype"] == "Q4_1, Q8_0"
    assert of_file["types"]["norms"] == ["F32"]
    for key in ("parameters", "tokenizer_vocab_size", "activation"):
        assert of_file[key] == of_folder[key], key
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    for shown in of_file["tensors"]:
        tensor = stored.pop(shown["name"])
        assert shown["dtype"] == tensor.tensor_type.name
        assert shown["shape"] == tensor.shape.tolist()[::-1]
        assert shown["bytes"] == tensor.n_bytes
    assert not stored
