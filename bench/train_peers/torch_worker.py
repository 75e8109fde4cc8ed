"""A transformers model in training as a peer, in a process of its own; argument: a JSON object.

{"shape", "batch", "sequence", "threads", "activation", "setting"} as in rows.py. Answers requests of
worker.py: {"steps": N} with tokens/s and memory, {"matmul": true} with the peak of products here.
"""

import json
import pathlib
import re
import sys
import time

import torch
import torch._inductor  # before the memory at the start is read: a compiled step needs it
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from peers.shapes import shape_named  # noqa: E402
from peers.worker import serve  # noqa: E402

P = 0.7


class StochasticSilu(torch.nn.Module):
    """The obvious way: x for x >= 0, else SiLU with probability P, else 0."""

    def forward(self, gate: torch.Tensor) -> torch.Tensor:
        coin = torch.rand_like(gate) < P
        negative = torch.where(coin, torch.nn.functional.silu(gate), 0)
        return torch.where(gate >= 0, gate, negative)


def build_model(shape, sequence: int, activation: str) -> transformers.PreTrainedModel:
    config = transformers.LlamaConfig(**shape.llama_config(), max_position_embeddings=sequence)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()
    if activation == "stocha":
        for layer in model.model.layers:
            layer.mlp.act_fn = StochasticSilu()
    return model


class Training:
    """Steps of AdamW with clipping, as stocha's: f32 weights, products as the setting says."""

    def __init__(self, shape, sequence: int, activation: str, setting: str):
        scheme, how = setting.split(", ")
        self.model = build_model(shape, sequence, activation)
        self.parameters = list(self.model.parameters())
        self.masters = self.parameters
        self.autocast = scheme == "autocast"
        self.has_masters = scheme == "master"
        if self.has_masters:
            self.masters = [weight.detach().clone() for weight in self.parameters]
            self.model.bfloat16()
        groups = [
            {"params": [w for w in self.masters if w.dim() > 1], "weight_decay": 0.1},
            {"params": [w for w in self.masters if w.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), fused=True)
        self.loss = torch.compile(self.loss_of) if how == "compiled" else self.loss_of

    def loss_of(self, windows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.model(input_ids=windows[:, :-1], use_cache=False).logits
        targets = windows[:, 1:].flatten()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets)

    def step(self, windows: torch.Tensor) -> float:
        loss = self.loss(windows)
        loss.backward()
        if self.has_masters:
            for weight, master in zip(self.parameters, self.masters):
                master.grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.has_masters:
            torch._foreach_copy_([weight.data for weight in self.parameters], self.masters)
        return loss.item()


def memory_kib(field: str) -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)[1])


def product_seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start


def matmul_peak() -> float:
    """FLOP/s of the fastest of some square products, in bf16 or, where that is slower, in f32."""
    best = 0.0
    for dtype in (torch.bfloat16, torch.float32):
        for size in (1024, 2048, 4096):
            left, right = (torch.randn(size, size, dtype=dtype) for _ in range(2))
            seconds = product_seconds(left, right)
            if seconds < 1:  # else bf16 is emulated, and not the peak
                seconds = min(product_seconds(left, right) for _ in range(3))
            best = max(best, 2 * size**3 / seconds)
    return best


def main() -> None:
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    shape = shape_named(asked["shape"])
    size = (asked["batch"], asked["sequence"] + 1)
    start_kib = memory_kib("VmRSS")
    training = Training(shape, asked["sequence"], asked["activation"], asked["setting"])

    def answer(steps: int = 0, matmul: bool = False) -> dict:
        if matmul:
            return {"matmul_flops": matmul_peak()}
        # From here on the peak is that of these steps: not of compiling.
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        start = time.perf_counter()
        for _ in range(steps):
            training.step(torch.randint(0, shape.vocab_size, size))
        seconds = time.perf_counter() - start
        return {
            "tokens_per_s": steps * asked["batch"] * asked["sequence"] / seconds,
            "memory_bytes": (memory_kib("VmHWM") - start_kib) * 1024,
        }

    answer(steps=asked["warmup_steps"])
    version = f"transformers {transformers.__version__}, torch {torch.__version__}"
    serve(version, asked["setting"], answer)


if __name__ == "__main__":
    main()
