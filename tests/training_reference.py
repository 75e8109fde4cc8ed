"""What a training run must compute, written a second time: batch order, coins, schedule and update.

Batches, coins and the learning rate follow the prose of stocha/data/batch_order.h, model/activation.h
and recipe/schedule.h in numpy; the model and AdamW are transformers' and torch's own.
"""

import math
import pathlib
import sys

import numpy as np
import torch

REPO = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPO / "tools"), str(REPO / "bench")]
from generate_coin_table import coin_bits, philox4x32  # noqa: E402
from train_peers.stocha_train import write_shard  # noqa: E402, F401

ORDER_TAG = 0x4F524452  # "ORDR"


def noisy_cycle(tokens, vocab_size, seed):
    """Text in which a model can learn four tokens of five."""
    rng = np.random.default_rng(seed)
    noise = rng.random(tokens) < 0.2
    random = rng.integers(vocab_size, size=tokens)
    ids = np.zeros(tokens, dtype=np.int64)
    for i in range(1, tokens):
        ids[i] = random[i] if noise[i] else (3 * ids[i - 1] + 7) % vocab_size
    return ids


def philox(key, counters):
    """key: an int; counters: [n, 4]. Returns [n, 4]."""
    return philox4x32(counters, np.array([key & 0xFFFFFFFF, key >> 32]))


def permutation(size, key):
    """PermuteIndex(i, size, key) for every i: a Feistel network on 2 halves, cycle-walked."""
    half_bits = ((size - 1).bit_length() + 1) // 2
    mask = (1 << half_bits) - 1
    index = np.arange(size, dtype=np.uint64)
    walking = np.ones(size, dtype=bool)
    while walking.any():
        left, right = index[walking] >> np.uint64(half_bits), index[walking] & np.uint64(mask)
        for step in range(8):
            counters = np.zeros((len(right), 4), dtype=np.uint64)
            counters[:, 0], counters[:, 1] = right, step
            mixed = philox(key, counters)[:, 0].astype(np.uint64) & np.uint64(mask)
            left, right = right, left ^ mixed
        index[walking] = left << np.uint64(half_bits) | right
        walking &= index >= size
    return index


class BatchOrder:
    """Which windows of `ids` a step sees."""

    def __init__(self, ids, sequence_length, seed):
        self.ids, self.length, self.seed = np.asarray(ids), sequence_length, seed
        self.windows = (len(self.ids) - 1) // sequence_length
        self.epochs = {}

    def in_order(self, window):
        return self.ids[window * self.length : (window + 1) * self.length + 1]

    def shuffled(self, sequence):
        epoch = sequence // self.windows
        if epoch not in self.epochs:
            words = philox(self.seed, [[epoch, 0, 0, ORDER_TAG]])[0]
            self.epochs[epoch] = permutation(self.windows, int(words[0]) | int(words[1]) << 32)
        return self.in_order(int(self.epochs[epoch][sequence % self.windows]))

    def batch(self, step, batch_size):
        """[batch, sequence + 1]"""
        first = step * batch_size
        return torch.tensor(np.stack([self.shuffled(first + i) for i in range(batch_size)]))


class StochasticSilu(torch.nn.Module):
    """x for x >= 0; else SiLU where the coin shows, 0 where it does not."""

    def __init__(self, p, seed, layer):
        super().__init__()
        self.threshold, self.seed, self.layer, self.step = round(p * 65536), seed, layer, 0

    def forward(self, gate):
        rows, neurons = gate.shape[0] * gate.shape[1], gate.shape[2]
        bits = coin_bits(self.seed, self.layer, self.step, np.arange(rows), np.arange(neurons))
        coin = torch.tensor(bits.astype(np.int64) < self.threshold).view(gate.shape)
        negative = torch.where(coin, torch.nn.functional.silu(gate), torch.zeros_like(gate))
        return torch.where(gate >= 0, gate, negative)


def cosine_rate(step, steps, warmup, peak, floor_ratio):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return peak * (floor_ratio + (1 - floor_ratio) * 0.5 * (1 + math.cos(math.pi * progress)))


def cross_entropy(model, windows):
    logits = model(input_ids=windows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def distilled(teacher, kl_weight):
    """The loss of a student that also learns the teacher's distributions."""
    def loss(model, windows):
        ids = windows[:, :-1]
        with torch.no_grad():
            target = teacher(input_ids=ids).logits.flatten(0, 1).log_softmax(1)
        got = model(input_ids=ids).logits.flatten(0, 1).log_softmax(1)
        kl = torch.nn.functional.kl_div(got, target, log_target=True, reduction="batchmean")
        ce = torch.nn.functional.nll_loss(got, windows[:, 1:].flatten())
        loss.kl.append(kl.item())
        return (1 - kl_weight) * ce + kl_weight * kl
    loss.kl = []
    return loss


def layerwise(teacher):
    """The mean over layers and tokens of |y - teacher's y|^2 / |stream + teacher's y|^2, y being what
    a feed-forward layer makes of the teacher's input to its own."""
    seen = {}

    def watch(layer):
        def mlp(_, inputs, output):
            seen[layer, "x"], seen[layer, "y"] = inputs[0], output

        def norm(_, inputs):
            seen[layer, "stream"] = inputs[0]
        return mlp, norm

    for i, block in enumerate(teacher.model.layers):
        mlp, norm = watch(i)
        block.mlp.register_forward_hook(mlp)
        block.post_attention_layernorm.register_forward_pre_hook(norm)

    def loss(model, windows):
        with torch.no_grad():
            teacher(input_ids=windows[:, :-1])
        errors = []
        for i, block in enumerate(model.model.layers):
            y = seen[i, "y"]
            difference = (block.mlp(seen[i, "x"]) - y).square().sum(-1)
            errors.append((difference / (seen[i, "stream"] + y).square().sum(-1)).mean())
        return sum(errors) / len(errors)
    return loss


def train(model, order, steps, batch_size, peak, warmup, loss_of=cross_entropy):
    """The losses of `steps` steps, before each update: AdamW, clipping at 1, cosine to a tenth."""
    matrices = [w for w in model.parameters() if w.dim() > 1]
    vectors = [w for w in model.parameters() if w.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(steps):
        for layer in model.model.layers:
            layer.mlp.act_fn.step = step
        windows = order.batch(step, batch_size)
        loss = loss_of(model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = cosine_rate(step, steps, warmup, peak, 0.1)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def validation_loss(model, order):
    windows = torch.tensor(np.stack([order.in_order(i) for i in range(order.windows)]))
    logits = model(input_ids=windows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item()
