"""Medians, ratios and verdicts out of the rounds of a row, and the table of them as Markdown."""

from peers.markdown import head, short, table, with_spread
from peers.summary import spread
from train_peers.rows import OP_ROW, OP_TARGET_PERCENT, Row, flops_per_token, shape_of


def figure(row: str, what: str, values: dict, target: float | None, at_most: bool = False) -> dict:
    """A line of the table. values: "ours" and maybe "theirs", and "judged": what the target is of."""
    entry = {"row": row, "what": what, "target": target, "at_most": at_most, **values}
    median = values["judged"]["median"]
    entry["reached"] = None
    if target is not None:
        entry["reached"] = median <= target if at_most else median >= target
    return entry


def summarize(row: Row, rounds: list[dict]) -> dict:
    """Ratios are taken round by round, so that slow drift of the machine cancels."""
    ours = [entry["stocha"] for entry in rounds]
    theirs = [entry["rival"] for entry in rounds]
    flops = flops_per_token(shape_of(row), row.sequence)

    def both(key: str) -> dict:
        pairs = [(our[key], their[key]) for our, their in zip(ours, theirs)]
        return {
            "ours": spread([our for our, _ in pairs]),
            "theirs": spread([their for _, their in pairs]),
            "judged": spread([our / their for our, their in pairs]),
        }

    def share(answers: list[dict]) -> dict:
        peaks = [their["matmul_flops"] for their in theirs]
        return spread([flops * a["tokens_per_s"] / peak for a, peak in zip(answers, peaks)])

    shares = {"ours": share(ours), "theirs": share(theirs), "judged": share(ours)}
    speed = figure(row.name, "tokens/s", both("tokens_per_s"), row.target("ratio"))
    peak = figure(row.name, "share of the peak", shares, row.target("share_of_peak"))
    memory_target = row.target("memory_ratio")
    memory = figure(row.name, "memory, MB", both("memory_bytes"), memory_target, at_most=True)
    for side in ("ours", "theirs"):
        memory[side] = {key: value / 1e6 for key, value in memory[side].items()}
    return {
        "row": row.name,
        "rounds": len(rounds),
        "flops_per_token": flops,
        "matmul_tflops": spread([their["matmul_flops"] / 1e12 for their in theirs]),
        "peer": {key: theirs[-1][key] for key in ("name", "version", "setting")},
        "figures": [speed, peak, memory],
    }


def summarize_op(benchmark: dict) -> dict:
    """What bench-activation says; quartiles, not extremes, stand around its median."""
    low, high = benchmark["step_overhead_percent_quartiles"]
    cost = {"median": benchmark["step_overhead_percent"], "min": low, "max": high}
    what = "% that the op adds to a step of the faster SiLU (quartiles)"
    line = figure(OP_ROW, what, {"ours": cost, "judged": cost}, OP_TARGET_PERCENT, at_most=True)
    return {"row": OP_ROW, "rounds": benchmark["rounds"], "figures": [line]}


def cells(entry: dict) -> list[str]:
    theirs = with_spread(entry["theirs"]) if "theirs" in entry else ""
    ratio = ""
    if "theirs" in entry and entry["judged"] != entry["ours"]:
        judged = entry["judged"]
        ratio = f"**{judged['median']:.2f}** ({judged['min']:.2f} to {judged['max']:.2f})"
    verdict = ""
    if entry["target"] is not None:
        kind = "at most" if entry["at_most"] else "at least"
        verdict = f"{kind} {entry['target']:g}: {'reached' if entry['reached'] else 'missed'}"
    return [f"{entry['row']}, {entry['what']}", theirs, with_spread(entry["ours"]), ratio, verdict]


def page(report: dict) -> str:
    """The whole report as Markdown. Figures are medians, with least and greatest in brackets."""
    lines = [cells(entry) for result in report["rows"] for entry in result["figures"]]
    notes = []
    for result in report["rows"]:
        note = f"- {result['row']}: {result['rounds']} rounds"
        if "peer" in result:
            peer = result["peer"]
            note += f"; {peer['version']}, {peer['setting']}; {result['flops_per_token'] / 1e6:.1f} "
            note += "MFLOP a token; products at "
            note += f"{short(1e3 * result['matmul_tflops']['median'])} GFLOP/s"
        notes.append(note)
    parts = [head(report)]
    parts.append(table(["row", "transformers", "stocha", "ratio", "target"], lines))
    parts.append("\n".join(notes))
    return "\n\n".join(parts) + "\n"
