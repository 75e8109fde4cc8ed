"""`stocha report`: the page is read back with Python's own parsers, and bad input leaves nothing."""

import html.parser
import json
import math
import os
import re
import shutil
import stat
import xml.etree.ElementTree as ET

import pytest

import harness

VOID = {"meta", "link", "br", "img", "input", "hr"}


def step_line(step, activation, **changes):
    line = {
        "type": "step",
        "step": step,
        "loss": 2 + 6 * math.exp(-step / 40),
        "lr": 1e-3,
        "grad_norm": 1 + step % 5 / 10,
        "activation": activation,
        "p": 0.0 if activation == "relu" else 0.7,
        "tokens": 512 * (step + 1),
        "tokens_per_s": 20000.0 + step % 7,
        "sparsity": [0.9, 0.8] if activation == "relu" else [0.4, 0.3],
    }
    return line | changes


def validation_line(step, loss, activation, sparsity=(0.91, 0.81)):
    return {
        "type": "validation",
        "step": step,
        "loss": loss,
        "activation": activation,
        "sparsity": list(sparsity),
    }


def write_run(folder, steps=400, switch=380, **changes):
    """A run folder whose steps are stocha:0.7 before `switch` and relu from it on."""
    lines = [validation_line(0, 8.1, "stocha:0.7")]
    for step in range(steps):
        if step == switch:
            lines.append(validation_line(step, 2.25, "stocha:0.7", (0.41, 0.31)))
            lines.append(validation_line(step, 2.75, "relu"))
        activation = "stocha:0.7" if step < switch else "relu"
        lines.append(step_line(step, activation, **changes))
    lines.append(validation_line(steps, 2.125, "relu" if steps > switch else "stocha:0.7"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class Balance(html.parser.HTMLParser):
    """Fails on a tag that HTML's rules would have to repair; collects what a browser could fetch."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.fetches = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.fetches += [v for k, v in attrs if k in ("src", "href", "xlink:href", "data", "action")]

    def handle_startendtag(self, tag, attrs):
        self.fetches += [v for k, v in attrs if k in ("src", "href", "xlink:href", "data", "action")]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"unexpected </{tag}>"

    def handle_data(self, data):
        self.text.append(data)


def read_page(path):
    """The page as an XML tree, after checking that it is sound HTML and needs no network."""
    text = path.read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert parser.fetches == ["data:,"]  # the empty icon
    assert "http" not in text and "@import" not in text and "url(" not in text
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def report(stocha, *args):
    return harness.run_ok(stocha, "report", *args)


def text_of(element):
    return "".join(element.itertext())


def final_figures(page):
    """{row name: [cell a run]} of the last table."""
    rows = page.findall(".//table")[-1].findall("./tbody/tr")
    return {text_of(row[0]): [text_of(cell) for cell in row[1:]] for row in rows}


def test_page_of_two_runs(stocha, tmp_path):
    runs = [write_run(tmp_path / "alpha"), write_run(tmp_path / "beta", steps=300, switch=0)]
    output = tmp_path / "report.html"
    assert report(stocha, *runs, "--output", output) == f"wrote {output}\n"
    page = read_page(output)
    assert page.find("head/title").text == "stocha training report"
    charts = page.findall(".//svg[@class='chart']")
    assert len(charts) >= 8
    for chart in charts:
        assert chart.get("role") == "img" and chart.get("aria-label")
        assert chart.find("desc").text
        _, _, width, height = map(float, chart.get("viewBox").split())
        for label in chart.findall("text"):
            assert 0 <= float(label.get("x")) <= width and 0 <= float(label.get("y")) <= height
    switches = [t.text for t in page.iter("text") if t.text and "→" in t.text]
    assert set(switches) == {"alpha: stocha:0.7 → relu"}
    figures = final_figures(page)
    assert figures["Steps"] == ["400", "300"]
    assert figures["Tokens"] == ["204,800", "153,600"]
    assert figures["Last switch of activation"] == ["stocha:0.7 → relu, step 380", "–"]
    assert figures["Validation loss before it, as trained"] == ["2.250", "–"]
    assert figures["Validation loss before it, with ReLU"] == ["2.750", "–"]
    assert figures["Validation loss at the end"] == ["2.125", "2.125"]
    assert figures["Sparsity, layer 1"] == ["81.00%", "81.00%"]


def test_curve_passes_through_the_values(stocha, tmp_path):
    """The drawn path, read back through the axes that the page states, is the learning rate."""
    run = write_run(tmp_path / "run", steps=50, switch=60)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["type"] == "step":
            line["lr"] = 1e-3 * (1 + math.sin(line["step"] / 5))
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = tmp_path / "report.html"
    report(stocha, run, "--output", output)
    page = read_page(output)
    chart = next(c for c in page.iter("svg") if c.get("aria-label") == "Learning rate")
    x_axis, y_axis = ([float(v) for v in chart.get(k).split()[:4]] for k in ("data-x", "data-y"))
    pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", chart.find("path[@data-label='run']").get("d"))

    def value(axis, pixel):
        lo, hi, start, end = axis
        return lo + (float(pixel) - start) / (end - start) * (hi - lo)

    rates = [line["lr"] for line in lines if line["type"] == "step"]
    assert len(pairs) == len(rates)
    for step, (x, y) in enumerate(pairs):
        assert value(x_axis, x) == pytest.approx(step, abs=0.05)
        assert value(y_axis, y) == pytest.approx(rates[step], abs=2e-6)


def test_every_text_is_escaped(stocha, tmp_path):
    nasty = "a<b & \"c\" 'd'"
    run = write_run(tmp_path / nasty, steps=20, switch=10)
    sample = tmp_path / "sample.txt"
    sample.write_bytes(b"</pre><script>alert(1)</script> & \xff\x00\n  two spaces")
    output = tmp_path / "report.html"
    report(stocha, run, "--output", output, "--title", nasty, "--fact", f"{nasty}=x=<i>",
           "--sample", sample)
    page = read_page(output)
    assert page.find("head/title").text == nasty
    assert page.find(".//dt").text == nasty and page.find(".//dd").text == "x=<i>"
    assert page.find(".//pre").text == (
        "</pre><script>alert(1)</script> & \ufffd\ufffd\n  two spaces")
    assert len(page.findall(".//script")) == 1
    assert any(nasty in text_of(th) for th in page.iter("th"))


def test_facts_keep_their_order(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    output = tmp_path / "report.html"
    report(stocha, run, "--fact", "b=1", "--fact", "a=", "--output", output)
    page = read_page(output)
    assert [text_of(d) for d in page.iter("dt")] == ["b", "a"]
    assert [text_of(d) for d in page.iter("dd")] == ["1", ""]


def test_runs_of_one_name_are_told_apart(stocha, tmp_path):
    runs = [write_run(tmp_path / side / "run", steps=5, switch=9) for side in ("left", "right")]
    output = tmp_path / "report.html"
    report(stocha, *runs, "--output", output)
    names = [text_of(s) for s in read_page(output).findall(".//li/strong")]
    assert names == [str(run) for run in runs]


def test_one_step_gaps_and_no_sparsity(stocha, tmp_path):
    one = write_run(tmp_path / "one", steps=1, switch=5)
    gaps = write_run(tmp_path / "gaps", sparsity=[], grad_norm=None)
    bad = [step_line(s, "relu", loss=None if 10 <= s < 20 else 3.0, sparsity=[]) for s in range(60)]
    (gaps / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bad))
    output = tmp_path / "report.html"
    report(stocha, one, gaps, "--output", output)
    page = read_page(output)
    assert "loss not finite at 10 steps, the first step 10" in text_of(page.find(".//header"))
    assert final_figures(page)["Sparsity, mean"] == ["86.00%", "–"]


def test_long_run_stays_small(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=50_000, switch=48_000)
    output = tmp_path / "report.html"
    report(stocha, run, "--output", output)
    page = read_page(output)
    for path in page.iter("path"):
        assert len(re.findall("[ML]", path.get("d"))) <= 2000
    assert output.stat().st_size < 1_000_000


def test_a_line_cut_off_by_a_kill_is_ignored(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"type":"step","st')
    report(stocha, run, "--output", tmp_path / "report.html")
    assert final_figures(read_page(tmp_path / "report.html"))["Steps"] == ["5"]


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_nothing_written(folder, before):
    assert listing(folder) == before


@pytest.mark.parametrize(
    "content, needle",
    [
        (None, "metrics.jsonl"),
        ("", "no training step"),
        ('{"type":"step"\n', "metrics.jsonl:1"),
        ('{"type":"nothing","step":1}\n', "type"),
        (json.dumps(step_line(3, "relu")) + "\n" + json.dumps(step_line(3, "relu")) + "\n", "order"),
        (json.dumps(step_line(2**60, "relu", tokens=1)) + "\n", "order"),
        (json.dumps(validation_line(1, 2.0, "relu")) + "\n", "no training step"),
    ],
    ids=["missing", "empty", "broken", "unknown", "repeated", "huge", "no-steps"],
)
def test_bad_metrics(stocha, tmp_path, content, needle):
    run = tmp_path / "run"
    run.mkdir()
    if content is not None:
        (run / "metrics.jsonl").write_text(content)
    output = tmp_path / "report.html"
    output.write_text("old")
    before = listing(tmp_path)
    result = harness.run(stocha, "report", run, "--output", output)
    harness.assert_one_line_error(result, needle, run.name)
    assert_nothing_written(tmp_path, before)
    assert output.read_text() == "old"


def test_missing_run(stocha, tmp_path):
    result = harness.run(stocha, "report", tmp_path / "none", "--output", tmp_path / "report.html")
    harness.assert_one_line_error(result, "none")
    assert_nothing_written(tmp_path, [])


def test_output_in_a_missing_folder(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    output = tmp_path / "none" / "report.html"
    harness.assert_one_line_error(harness.run(stocha, "report", run, "--output", output), output)
    assert_nothing_written(tmp_path, ["run"])


def test_output_is_a_folder(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    harness.assert_one_line_error(harness.run(stocha, "report", run, "--output", run), "run")
    assert_nothing_written(tmp_path, ["run"])
    assert_nothing_written(run, ["metrics.jsonl"])


def test_output_where_even_root_cannot_write(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    output = "/proc/report.html"
    harness.assert_one_line_error(harness.run(stocha, "report", run, "--output", output), output)


@pytest.fixture
def run_refusable():
    """harness.run of a program that may not write everywhere, as root's may."""
    if os.geteuid() != 0:
        return harness.run
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which(prefix[0]):
        pytest.skip("no setpriv (package util-linux), by which root can be refused a file")
    tried = harness.run(*prefix, "true")
    if tried.returncode:
        pytest.skip(f"no leave to give up root's rights, nor another user: {tried.stderr.strip()}")

    def run(program, *args):
        result = harness.run(*prefix, program, *args)
        result.args = [program, *args]
        return result

    return run


def test_output_in_a_read_only_folder(stocha, tmp_path, run_refusable):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    output = locked / "report.html"
    harness.assert_one_line_error(run_refusable(stocha, "report", run, "--output", output), output)
    assert_nothing_written(locked, [])


def test_full_disk(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=50, switch=40)
    output = tmp_path / "report.html"
    # A file may grow by a few blocks and no further; the signal that says so is ignored, since a
    # full disk sends none.
    shell = f'trap "" XFSZ; ulimit -f 4; exec "{stocha}" report "{run}" --output "{output}"'
    result = harness.run("/bin/sh", "-c", shell)
    assert result.returncode == 1
    assert result.stderr.startswith("stocha: error: ") and len(result.stderr.splitlines()) == 1
    assert_nothing_written(tmp_path, ["run"])


def test_missing_sample(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    result = harness.run(stocha, "report", run, "--sample", tmp_path / "none.txt", "--output",
                         tmp_path / "report.html")
    harness.assert_one_line_error(result, "none.txt")
    assert_nothing_written(tmp_path, ["run"])


def test_usage(stocha, tmp_path):
    run = write_run(tmp_path / "run", steps=5, switch=9)
    harness.assert_one_line_error(harness.run(stocha, "report"), code=2)
    for fact in ("no equals sign", "=value"):
        result = harness.run(stocha, "report", run, "--fact", fact, "--output", tmp_path / "r.html")
        harness.assert_one_line_error(result, "--fact", code=2)
    assert_nothing_written(tmp_path, ["run"])
    assert "Example" in harness.run_ok(stocha, "report", "--help")
