"""Medians, ratios and shares of the roof out of the rounds of a row."""

import pathlib
import statistics

from peers.isa import reason_to_withhold
from peers.machine import has_amx
from peers.rows import LLAMA_CPP_WITH_AMX, Row

# What stocha must reach of the bytes that it reads, and how much faster its FFN must be than its own
# dense one, at the shape and sparsity of the rows.
ROOF_TARGETS = {"dense": 0.85, "exact": 0.80, "screened": 0.75}
FFN_TARGETS = {"exact": 2.2, "screened": 3.0}
ROOF_TYPES = ("q8_0", "q4_0")


def spread(values: list[float]) -> dict:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def why_no_ratio(row: Row, rounds: list[dict], system_info: str) -> str | None:
    if row.rival != "llama.cpp":
        return None
    return reason_to_withhold(rounds[-1]["stocha"]["machine"], system_info)


def mode_summary(row: Row, mode: str, rounds: list[dict], withheld: str | None) -> dict:
    """One of stocha's modes. A ratio is taken round by round, so slow drift of the machine cancels."""
    speeds = [entry["stocha"][row.key][mode] for entry in rounds]
    target = row.targets[mode].here() if mode in row.targets else None
    result = {"tokens_per_s": spread(speeds), "target": target, "ratio": None}
    if not withheld:
        rivals = [entry["rival"]["tokens_per_s"] for entry in rounds]
        result["ratio"] = spread([ours / theirs for ours, theirs in zip(speeds, rivals)])
    return result


def roof_summary(row: Row, mode: str, rounds: list[dict]) -> dict:
    """Against the machine and against our own dense FFN: decode of one sequence alone."""
    answers = [entry["stocha"] for entry in rounds]
    bytes_read = [answer["bytes_per_token"][mode] for answer in answers]
    shares = [
        size * answer[row.key][mode] / (answer["read_bandwidth_gb_s"] * 1e9)
        for size, answer in zip(bytes_read, answers)
    ]
    ffn = [answer["ffn_us_per_token"] for answer in answers]
    targeted = row.stocha_type in ROOF_TYPES
    return {
        "bytes_per_token": statistics.median(bytes_read),
        "read_bandwidth_gb_s": spread([answer["read_bandwidth_gb_s"] for answer in answers]),
        "share_of_roof": spread(shares),
        "share_target": ROOF_TARGETS[mode] if targeted else None,
        "ffn_us_per_token": spread([times[mode] for times in ffn]),
        "ffn_ratio": spread([times["dense"] / times[mode] for times in ffn]),
        "ffn_target": FFN_TARGETS.get(mode) if row.stocha_type == "q8_0" else None,
        "active_fraction": statistics.median(answer["active_fraction"] for answer in answers),
    }


def has_roof(row: Row) -> bool:
    """The shape is larger than any cache, and the machine is the row's own."""
    return row.measure == "decode" and row.batch == 1 and not row.burners and "135m" not in row.shape


def summarize(row: Row, rounds: list[dict], system_info: str) -> dict:
    rivals = [entry["rival"]["tokens_per_s"] for entry in rounds]
    last = rounds[-1]["rival"]
    result = {
        "row": row.name,
        "shape": row.shape,
        "type": row.stocha_type,
        "measure": row.measure,
        "threads": row.threads,
        "batch": row.batch,
        "burners": row.burners,
        "rounds": len(rounds),
        "rival": {
            "name": last["name"],
            "type": row.rival_type,
            "version": last["version"],
            "setting": last["setting"],
            "tokens_per_s": spread(rivals),
        },
        "modes": {},
        "roof": {},
    }
    known = LLAMA_CPP_WITH_AMX.get(row.name)
    if known and has_amx() and max(rivals) < 0.9 * known:
        result["warning"] = f"llama.cpp is known to reach {known:g} on 2 cores with AMX"
    if not rounds[-1]["stocha"]:
        return result
    result["active_fraction"] = statistics.median(e["stocha"]["active_fraction"] for e in rounds)
    result["model"] = pathlib.Path(rounds[-1]["stocha"].get("model", row.shape)).name
    result["withheld"] = why_no_ratio(row, rounds, system_info)
    for mode in row.modes:
        result["modes"][mode] = mode_summary(row, mode, rounds, result["withheld"])
        if has_roof(row):
            result["roof"][mode] = roof_summary(row, mode, rounds)
    return result
