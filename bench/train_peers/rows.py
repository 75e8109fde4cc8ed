"""The rows of the comparison of training: what is trained, against what, and the target."""

import dataclasses

from peers.rows import Target, everywhere
from peers.shapes import Shape, shape_named

# Settings of the peer in the order in which they are tried: how bf16 is had, and how it is run.
# autocast: f32 weights, cast within the step. master: bf16 weights, and f32 ones that are updated.
# float32: no bf16, for processors that do not multiply it.
COMPILED = ("autocast, compiled", "master, compiled", "float32, compiled")
EAGER = ("autocast, eager", "master, eager", "float32, eager")


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    shape: str  # of peers/shapes.py
    batch: int  # sequences a step
    sequence: int
    activation: str  # of the peer: silu, or stocha, which is written with torch.where
    settings: tuple[str, ...]  # of the peer; the fastest is kept
    steps: int  # timed a round, on both sides
    warmup_steps: int = 2
    threads: int = 2
    targets: dict[str, Target] = dataclasses.field(default_factory=dict)

    def identity(self) -> dict:
        """What was measured, as JSON gives it back; targets do not change that."""
        return dataclasses.asdict(self) | {"settings": list(self.settings), "targets": None}

    def target(self, what: str) -> float | None:
        return self.targets[what].here() if what in self.targets else None

    @property
    def tokens_per_step(self) -> int:
        return self.batch * self.sequence


def flops_per_token(shape: Shape, sequence: int) -> int:
    """Forward and backward, by the usual count (PaLM's appendix B).

    6 for every weight that is in a matrix product (the tied embedding once, as the head; norms not),
    and 12 * layers * heads * head size * sequence for attention, as if it were not causal.
    """
    query = shape.num_heads * shape.head_dim
    key_value = shape.num_kv_heads * shape.head_dim
    attention = shape.hidden_size * (2 * query + 2 * key_value)
    feed_forward = 3 * shape.hidden_size * shape.intermediate_size
    weights = shape.num_layers * (attention + feed_forward) + shape.vocab_size * shape.hidden_size
    return 6 * weights + 12 * shape.num_layers * query * sequence


TWELVE_M = "384,1024,6,6,6,4096"

ROWS = {
    row.name: row
    for row in (
        Row(
            "12m-silu",
            TWELVE_M,
            batch=16,
            sequence=256,
            activation="silu",
            settings=COMPILED,
            steps=6,
            targets={
                "ratio": Target(with_amx=1.3, without_amx=1.2),
                "share_of_peak": everywhere(0.45),
                "memory_ratio": everywhere(1.0),
            },
        ),
        Row(
            "12m-stocha",
            TWELVE_M,
            batch=16,
            sequence=256,
            activation="stocha",
            settings=COMPILED + EAGER,
            steps=6,
            targets={"ratio": everywhere(1.9)},
        ),
        Row(
            "135m-silu",
            "smollm2-135m",
            batch=4,
            sequence=512,
            activation="silu",
            settings=COMPILED,
            steps=2,
            warmup_steps=1,
            targets={"ratio": everywhere(1.2)},
        ),
    )
}
OP_ROW = "12m-op"  # the op inside the step; `stocha-train bench-activation` measures both sides
OP_TARGET_PERCENT = 3.0


def shape_of(row: Row) -> Shape:
    return shape_named(row.shape)
