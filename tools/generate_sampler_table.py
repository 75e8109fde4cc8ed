"""Writes stocha/engine/testdata/sampler.txt: what transformers' logits processors make of logits.

One line a case: temperature top_k top_p min_p repetition_penalty | ids seen | logits |
probabilities, 0 for tokens that cannot be drawn.
"""

import pathlib

import torch
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

OUTPUT = pathlib.Path(__file__).parent.parent / "stocha/engine/testdata/sampler.txt"

# temperature, top_k, top_p, min_p, repetition_penalty; 0, 0, 1, 0 and 1 switch each off.
CASES = [
    (1.0, 0, 1.0, 0.0, 1.0),
    (0.5, 0, 1.0, 0.0, 1.0),
    (1.7, 3, 1.0, 0.0, 1.0),
    (1.0, 1, 1.0, 0.0, 1.0),
    (1.0, 100, 1.0, 0.0, 1.0),
    (1.0, 0, 0.9, 0.0, 1.0),
    (1.0, 0, 0.5, 0.0, 1.0),
    (0.8, 0, 0.01, 0.0, 1.0),
    (1.3, 0, 1.0, 0.1, 1.0),
    (1.0, 0, 1.0, 1.0, 1.0),
    (1.0, 0, 1.0, 0.0, 1.3),
    (1.0, 0, 1.0, 0.0, 0.7),
    (0.9, 8, 0.8, 0.05, 1.2),
    (2.0, 12, 0.95, 0.2, 1.5),
]


def probabilities(case, logits, seen):
    temperature, top_k, top_p, min_p, penalty = case
    ids = torch.tensor([seen])
    scores = logits[None].clone()
    if penalty != 1:
        scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
    scores = TemperatureLogitsWarper(temperature)(ids, scores)
    if top_k:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(ids, scores)
    if min_p:
        scores = MinPLogitsWarper(min_p)(ids, scores)
    return torch.softmax(scores.double(), dim=-1)[0]


def main():
    torch.manual_seed(0)
    lines = []
    for index, case in enumerate(CASES):
        logits = torch.randn(17 + index) * 3
        if index % 2:
            logits[4] = logits[2]  # a tie; top-p alone may break it either way, so not at its edge
        seen = torch.randint(0, len(logits), (5,)).tolist()
        columns = [case, seen, logits.tolist(), probabilities(case, logits, seen).tolist()]
        lines.append(" | ".join(" ".join(f"{value:.9g}" for value in column) for column in columns))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
