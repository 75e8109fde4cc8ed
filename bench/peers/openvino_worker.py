"""OpenVINO GenAI as a rival; arguments: shape, int8 or int4, threads. Started by worker.py.

The model is made on first use: random weights in `transformers`, then optimum-intel's export with
its weight compression, which keeps the head at 8 bits; int4 is symmetric in groups of 128.
"""

import os
import pathlib
import sys
import tempfile

import numpy as np
import openvino
import openvino_genai

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from peers.machine import REPO  # noqa: E402
from peers.shapes import Shape, shape_named  # noqa: E402
from peers.worker import serve_speed  # noqa: E402

COMPRESSION = {"int8": {"bits": 8, "sym": True}, "int4": {"bits": 4, "sym": True, "group_size": 128}}


def write_tokenizer(vocab_size: int, folder: pathlib.Path) -> None:
    """A tokenizer of dummy tokens: the pipeline insists on one, and is given token ids."""
    import openvino_tokenizers
    import tokenizers
    import transformers

    words = {f"w{index}": index for index in range(vocab_size)}
    model = tokenizers.Tokenizer(tokenizers.models.BPE(words, []))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="w0")
    parts = openvino_tokenizers.convert_tokenizer(fast, with_detokenizer=True)
    for part, name in zip(parts, ("openvino_tokenizer", "openvino_detokenizer")):
        openvino.save_model(part, folder / f"{name}.xml")


def make_model(shape: Shape, kind: str, folder: pathlib.Path) -> None:
    """Exported and compressed under a temporary name beside `folder`, then renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="openvino-") as temporary:
        export_model(shape, kind, pathlib.Path(temporary))
        os.replace(pathlib.Path(temporary) / "model", folder)


def export_model(shape: Shape, kind: str, temporary: pathlib.Path) -> None:
    """Writes temporary/model, and what it is made of beside it."""
    import torch
    import transformers
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    config = transformers.LlamaConfig(**shape.llama_config())
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(temporary / "torch")
    del model
    compression = OVWeightQuantizationConfig(**COMPRESSION[kind])
    exported = OVModelForCausalLM.from_pretrained(
        temporary / "torch", export=True, compile=False, quantization_config=compression
    )
    exported.save_pretrained(temporary / "model")
    write_tokenizer(shape.vocab_size, temporary / "model")


def main() -> None:
    shape, kind, threads = shape_named(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if kind not in COMPRESSION:
        sys.exit(f"openvino_worker: error: type {kind!r}; expected {', '.join(COMPRESSION)}")
    folder = REPO / "build/peers/models" / f"{shape.name.replace(',', '-')}-openvino-{kind}"
    if not folder.exists():
        make_model(shape, kind, folder)
    pipeline = openvino_genai.LLMPipeline(str(folder), "CPU", INFERENCE_NUM_THREADS=threads)
    rng = np.random.default_rng(0)

    def measure(prompt_tokens: int, gen_tokens: int) -> float:
        """Tokens/s of a prefill (gen_tokens = 0), else of a greedy decode behind the prompt."""
        prompt = rng.integers(1, shape.vocab_size, (1, prompt_tokens), dtype=np.int64)
        config = openvino_genai.GenerationConfig(
            max_new_tokens=gen_tokens + 1, ignore_eos=True, do_sample=False
        )
        inputs = openvino_genai.TokenizedInputs(
            openvino.Tensor(prompt), openvino.Tensor(np.ones_like(prompt))
        )
        metrics = pipeline.generate(inputs, config).perf_metrics
        if gen_tokens == 0:
            return prompt_tokens / (metrics.get_ttft().mean / 1e3)
        return 1e3 / metrics.get_tpot().mean

    measure(32, 2)  # warm: memory touched, kernels chosen
    serve_speed(f"openvino-genai {openvino_genai.__version__}", "GenAI pipeline, greedy", measure)


if __name__ == "__main__":
    main()
