"""The tables of docs/benchmarks.md out of what summary.py made."""


def short(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def with_spread(figure: dict) -> str:
    return f"{short(figure['median'])} ({short(figure['min'])} to {short(figure['max'])})"


def against(target: float | None, reached: float) -> str:
    if target is None:
        return ""
    return f"{target:g} {'reached' if reached >= target else 'missed'}"


def table(head: list[str], lines: list[list[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def rival_lines(result: dict) -> list[list[str]]:
    """One line a mode; the rival's figure stands in the first."""
    rival = result["rival"]
    what = f"{result['row']}, {result['threads']} threads".replace("1 threads", "1 thread")
    theirs = f"{rival['name']} {rival['type']}: {with_spread(rival['tokens_per_s'])}"
    lines = []
    for mode, figures in result["modes"].items():
        ours = with_spread(figures["tokens_per_s"])
        if figures["ratio"]:
            ratio = f"**{figures['ratio']['median']:.2f}** ({figures['ratio']['min']:.2f} to "
            ratio += f"{figures['ratio']['max']:.2f})"
            verdict = against(figures["target"], figures["ratio"]["median"])
        else:
            ratio, verdict = f"withheld: {result['withheld']}", ""
        lines.append([what, theirs, f"{result['type']} {mode}", ours, ratio, verdict])
        what = theirs = ""
    return lines or [[what, theirs, "not run", "", "", ""]]


def roof_lines(result: dict) -> list[list[str]]:
    lines = []
    for mode, figures in result["roof"].items():
        share = figures["share_of_roof"]["median"]
        ffn_ratio = figures["ffn_ratio"]["median"]
        lines.append(
            [
                f"{result['row']} {mode}",
                f"{figures['active_fraction']:.3f}",
                f"{figures['bytes_per_token'] / 1e6:.1f}",
                f"{share:.2f}",
                against(figures["share_target"], share),
                with_spread(figures["ffn_us_per_token"]),
                f"{ffn_ratio:.2f}",
                against(figures["ffn_target"], ffn_ratio),
            ]
        )
    return lines


RIVAL_HEAD = ["row", "rival, tok/s", "stocha", "tok/s", "ratio", "target"]
ROOF_HEAD = [
    "row",
    "active",
    "MB a token",
    "share of the roof",
    "target",
    "FFN, µs a token",
    "ratio to our dense FFN",
    "target",
]


def head(report: dict, *more: str) -> str:
    """Where, when and how a report was made, as a list."""
    machine = report["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; "
        f"{' '.join(machine['isa'])}",
        f"commit {report['commit']}, {report['date']}, load average at the start "
        f"{machine['load_average_at_start']:.2f}",
        f"`{report['command']}`",
        *more,
    ]
    return "\n".join(f"- {line}" for line in lines)


def page(report: dict) -> str:
    """The whole report as Markdown. Figures are medians, with least and greatest in brackets."""
    asked = report["llama_cpp_system_info"] or "not asked"
    results = report["rows"]
    parts = [head(report, f"llama.cpp's system info: {asked}")]
    parts.append(table(RIVAL_HEAD, [line for result in results for line in rival_lines(result)]))
    roofs = [line for result in results for line in roof_lines(result)]
    if roofs:
        parts.append(table(ROOF_HEAD, roofs))
    notes = [f"- {r['row']}: {r['rival']['version']}, {r['rival']['setting']}" for r in results]
    notes += [
        f"- {r['row']}: {r['model']}, {r['active_fraction']:.3f} of its neurons active"
        for r in results
        if "model" in r
    ]
    notes += [f"- {r['row']}: WARNING: {r['warning']}" for r in results if r.get("warning")]
    parts.append("\n".join(notes))
    return "\n\n".join(parts) + "\n"
