"""`transformers` in bf16 as a rival; arguments: shape, type, threads. Started by worker.py."""

import pathlib
import sys
import time

import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from peers.shapes import shape_named  # noqa: E402
from peers.worker import serve_speed  # noqa: E402


def random_model(shape) -> transformers.PreTrainedModel:
    config = transformers.LlamaConfig(**shape.llama_config())
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()


def main() -> None:
    shape, kind, threads = shape_named(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if kind != "bf16":
        sys.exit(f"transformers_worker: error: type {kind!r}; expected bf16")
    torch.set_num_threads(threads)
    model = random_model(shape)

    @torch.inference_mode()
    def measure(prompt_tokens: int, gen_tokens: int) -> float:
        """Tokens/s of a prefill (gen_tokens = 0), else of a greedy decode behind the prompt."""
        prompt = torch.randint(0, shape.vocab_size, (1, prompt_tokens))
        cache = transformers.DynamicCache()
        start = time.perf_counter()
        logits = model(prompt, past_key_values=cache, logits_to_keep=1).logits
        if gen_tokens == 0:
            return prompt_tokens / (time.perf_counter() - start)
        start = time.perf_counter()
        for _ in range(gen_tokens):
            token = logits[:, -1].argmax(-1, keepdim=True)
            logits = model(token, past_key_values=cache).logits
        return gen_tokens / (time.perf_counter() - start)

    measure(32, 2)  # warm: memory touched, kernels chosen
    version = f"transformers {transformers.__version__}, torch {torch.__version__}"
    serve_speed(version, f"eager, {model.config._attn_implementation} attention", measure)


if __name__ == "__main__":
    main()
