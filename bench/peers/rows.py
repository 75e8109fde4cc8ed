"""The rows of the comparison: what is measured against whom, and the ratio that is aimed at."""

import dataclasses

from peers.machine import has_amx

ALL_MODES = ("dense", "exact", "screened")


@dataclasses.dataclass(frozen=True)
class Target:
    """The least ratio to the rival that counts as reached; None where none is set."""

    with_amx: float | None
    without_amx: float | None

    def here(self) -> float | None:
        return self.with_amx if has_amx() else self.without_amx


def everywhere(ratio: float) -> Target:
    return Target(ratio, ratio)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    shape: str
    stocha_type: str  # `stocha bench --type`
    rival: str  # llama.cpp, transformers or openvino
    rival_type: str
    measure: str = "decode"  # or prefill
    threads: int = 2
    prompt_tokens: int = 16
    gen_tokens: int = 64
    batch: int = 1
    modes: tuple[str, ...] = ALL_MODES
    prefill: str = "exact"  # `stocha bench --prefill`
    burners: int = 0  # processes that take a core each meanwhile
    targets: dict[str, Target] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        """The field of stocha's and of a rival's answer."""
        return f"{self.measure}_tokens_per_s"

    def identity(self) -> dict:
        """What was measured, as JSON gives it back; targets do not change that."""
        return dataclasses.asdict(self) | {"modes": list(self.modes), "targets": None}


def decode_rows() -> list[Row]:
    dense = everywhere(1.0)
    q4_exact = Target(with_amx=1.7, without_amx=1.5)
    targets = {
        "q8_0": {"dense": dense, "exact": everywhere(1.5), "screened": everywhere(1.75)},
        "q4_0": {"dense": dense, "exact": q4_exact},
    }
    llama = "llama-3.2-1b"
    rows = [
        Row(f"decode-{kind}", llama, kind, "llama.cpp", kind, targets=targets.get(kind, {}))
        for kind in ("q8_0", "q4_0", "q4_k", "bf16")
    ]
    mixed = {"exact": everywhere(1.9)}
    rows.append(Row("decode-mixed", llama, "mixed", "llama.cpp", "q8_0", targets=mixed))
    three_b = {"exact": everywhere(1.55)}
    rows.append(Row("decode-q8_0-3b", "llama-3.2-3b", "q8_0", "llama.cpp", "q8_0", targets=three_b))
    for threads in (1, 2):
        rows.append(
            Row(
                f"decode-q8_0-135m-{threads}t",
                "smollm2-135m",
                "q8_0",
                "llama.cpp",
                "q8_0",
                threads=threads,
                gen_tokens=256,
                targets={"exact": everywhere(1.5)},
            )
        )
    return rows


def batch_rows() -> list[Row]:
    target = {"exact": Target(with_amx=1.5, without_amx=1.2)}
    return [
        Row(
            f"batch{batch}-{kind}",
            "llama-3.2-1b",
            kind,
            "llama.cpp",
            kind,
            batch=batch,
            gen_tokens=32,
            modes=("dense", "exact"),
            targets=target,
        )
        for kind in ("q8_0", "q4_0")
        for batch in (4, 8, 16)
    ]


def prefill_row(name: str, kind: str, rival: str, rival_type: str, target: Target | None) -> Row:
    return Row(
        name,
        "llama-3.2-1b",
        kind,
        rival,
        rival_type,
        measure="prefill",
        prompt_tokens=512,
        gen_tokens=4,
        modes=("dense", "exact"),
        targets={"exact": target} if target else {},
    )


def prefill_rows() -> list[Row]:
    against_llama = Target(with_amx=2.5, without_amx=1.2)
    exact = [
        prefill_row("prefill-q8_0", "q8_0", "llama.cpp", "q8_0", against_llama),
        prefill_row("prefill-q4_0", "q4_0", "llama.cpp", "q4_0", None),
        prefill_row("prefill-transformers", "q8_0", "transformers", "bf16", Target(1.0, None)),
        prefill_row("prefill-openvino", "q8_0", "openvino", "int8", None),
    ]
    fast = [dataclasses.replace(row, name=f"{row.name}-fast", prefill="fast") for row in exact]
    return exact + fast


def other_rows() -> list[Row]:
    llama = "llama-3.2-1b"
    return [
        Row("decode-transformers", llama, "bf16", "transformers", "bf16", gen_tokens=32),
        Row("decode-openvino-int8", llama, "q8_0", "openvino", "int8"),
        Row("decode-openvino-int4", llama, "q4_0", "openvino", "int4"),
        Row("contended-1", llama, "q8_0", "llama.cpp", "q8_0", burners=1, gen_tokens=32),
        Row("contended-2", llama, "q8_0", "llama.cpp", "q8_0", burners=2, gen_tokens=32),
    ]


ROWS = {row.name: row for row in decode_rows() + prefill_rows() + batch_rows() + other_rows()}

# What llama.cpp, built by clang-19, reached on 2 cores of a Xeon with AMX, tok/s: a build that stays
# more than 10 % below that on such a machine is not the rival to be compared with.
LLAMA_CPP_WITH_AMX = {
    "decode-q8_0": 22.1,
    "decode-q4_0": 30.8,
    "decode-q4_k": 21.4,
    "prefill-q8_0": 282.0,
    "prefill-q4_0": 266.0,
    "batch4-q8_0": 55.0,
    "batch8-q8_0": 92.5,
    "batch16-q8_0": 145.9,
}
