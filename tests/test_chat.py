"""stocha chat and stocha converse: conversations, what is kept of them, and what is written of them."""

import json
import os
import pty
import signal
import subprocess
import time

import numpy as np
import pytest
import tokenizers

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, save_talking_model

TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A random model that ends an answer now and then, with a chat template."""
    folder = tmp_path_factory.mktemp("talking")
    saved = save_talking_model(folder, deviation=0.12)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return saved


def chat(stocha, folder, *flags, **kwargs):
    return run(stocha, "chat", folder, *flags, **kwargs)


def generated(stocha, folder, prompt, *flags):
    return run_ok(stocha, "generate", folder, "--prompt", prompt, *flags)


SAMPLING = ["--temperature", 1.2, "--seed", 5, "--max-tokens", 20]


def test_one_message(stocha, talking):
    expected = generated(stocha, talking.folder, "<|user|>Hello<|end|><|assistant|>", *SAMPLING)
    result = chat(stocha, talking.folder, "--message", "Hello", *SAMPLING)
    assert (result.returncode, result.stdout) == (0, expected)
    shown = json.loads(chat(stocha, talking.folder, "--message", "Hello", "--json", *SAMPLING).stdout)
    assert shown["text"] + "\n" == expected
    assert talking.tokenizer.decode(shown["ids"]) == shown["text"]
    assert shown["stop"] in ("stop_id", "max_tokens") and shown["seed"] == 5
    expected = generated(stocha, talking.folder, "<|system|>Be.<|end|><|user|>Hello<|end|><|assistant|>", *SAMPLING)
    assert chat(stocha, talking.folder, "--system", "Be.", "--message", "Hello", *SAMPLING).stdout == expected


def test_lines_are_one_conversation_whose_beginning_is_kept(stocha, talking):
    """Each answer is that to the whole conversation, and only its new tokens go through the model."""
    flags = ["--temperature", 0, "--max-tokens", 12]
    text, expected, held, new = "", "", [], []
    for message in ("Hello", "And then?", "Why?"):
        text += f"<|user|>{message}<|end|><|assistant|>"
        sample = json.loads(generated(stocha, talking.folder, text, "--json", *flags))["samples"][0]
        prompt = talking.tokenizer.encode(text).ids
        new.append(len(prompt) - len(os.path.commonprefix([held, prompt[:-1]])))
        # Of an answer that was cut the last token did not go through the model.
        held = prompt + (sample["ids"] if sample["stop"] == "stop_id" else sample["ids"][:-1])
        expected += sample["text"] + "\n"
        text += sample["text"] + "<|end|>"
    result = chat(stocha, talking.folder, "--stats", *flags, input="Hello\nAnd then?\n\nWhy?\n")
    assert (result.returncode, result.stdout) == (0, expected)
    read = [int(line.split()[1]) for line in result.stderr.splitlines() if line.startswith("prefill:")]
    assert read == new and new[2] < len(prompt) / 2
    assert "active fraction" in result.stderr


def test_a_packed_model_has_its_template(stocha, talking, tmp_path):
    run_ok(stocha, "quantize", talking.folder, tmp_path / "m.gguf", "--type", "f32")
    flags = ["--message", "Hello", *SAMPLING]
    assert run_ok(stocha, "chat", tmp_path / "m.gguf", *flags) == run_ok(stocha, "chat", talking.folder, *flags)


def test_stops_at_the_ids_of_generation_config(stocha, talking, tmp_path):
    shown = json.loads(run_ok(stocha, "chat", talking.folder, "--message", "Hello", "--json", "--max-tokens", 20))
    folder = tmp_path / "model"
    folder.mkdir()
    for file in talking.folder.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, shown["ids"][3]]}))
    cut = json.loads(run_ok(stocha, "chat", folder, "--message", "Hello", "--json", "--max-tokens", 20))
    assert cut["stop"] == "stop_id"
    assert cut["ids"] == shown["ids"][: shown["ids"].index(shown["ids"][3])]


def test_a_full_context_is_said_in_one_line(stocha, talking):
    flags = ["--context", 60, "--max-tokens", 50]
    result = chat(stocha, talking.folder, "--message", "word " * 40, *flags)
    assert_one_line_error(result, "conversation: too long for the context", "1 to 59")
    result = chat(stocha, talking.folder, "--message", "Hello", "--context", 40, *flags[2:])
    assert result.returncode == 0
    assert "the context of 40 tokens is full" in result.stderr


def test_bad_input(stocha, talking, tmp_path):
    assert_one_line_error(chat(stocha, talking.folder, "--json"), "--message", code=2)
    assert_one_line_error(chat(stocha, talking.folder, "--message", "a", "--template-variables", "[1]"), "--template-variables")
    assert_one_line_error(chat(stocha, talking.folder, "--message", "a", "--temperature", -1), "temperature", code=2)
    assert_one_line_error(chat(stocha, talking.folder, "--message", "a", "--context", 999999), "999999")


class Terminal:
    """A program on a terminal, and what it showed there."""

    def __init__(self, *command):
        self.main, side = pty.openpty()
        self.process = subprocess.Popen(
            [*map(str, command)], stdin=side, stdout=side, stderr=side, start_new_session=True
        )
        os.close(side)
        self.seen = b""

    def read_until(self, done, seconds=60):
        """Until done(what was shown since the last call)."""
        begin, end = len(self.seen), time.monotonic() + seconds
        while not done(self.seen[begin:]):
            assert time.monotonic() < end, self.seen
            self.seen += os.read(self.main, 4096)

    def write(self, text):
        os.write(self.main, text)


def test_on_a_terminal(stocha, tmp_path):
    """Answers come as they are made, Ctrl-C stops one, /new forgets, Ctrl-D leaves."""
    save_talking_model(tmp_path, max_position_embeddings=1_000_000, eos_token_id=None)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    flags = ["--max-tokens", 900_000, "--context", 1_000_000, "--threads", 1]
    terminal = Terminal(stocha, "chat", tmp_path, *flags)
    terminal.read_until(lambda text: text.endswith(b"\r\n> "))
    terminal.write(b"Hello\n")
    terminal.read_until(lambda text: text.startswith(b"Hello\r\n") and len(text) > 50)
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until(lambda text: text.endswith(b"\r\n> "))
    terminal.write(b"/new\n")
    terminal.read_until(lambda text: text == b"/new\r\n> ")
    terminal.write(b"\x04")
    assert terminal.process.wait(timeout=30) == 0
    os.close(terminal.main)


def test_smollm2_knows_the_capital_of_france(stocha, smollm2):
    question = ["--message", "What is the capital of France?"]
    assert "Paris" in run_ok(stocha, "chat", smollm2, *question, timeout=120)


PROMPTS = [f"Say {word}." for word in TEXT.split()]


def write_prompts(path, prompts=PROMPTS):
    path.write_text("".join(json.dumps({"prompt": p, "source": "test"}) + "\n" for p in prompts))
    return path


def converse(stocha, folder, prompts, output, *flags, **kwargs):
    return run(stocha, "converse", folder, "--prompts", prompts, "--output", output, *flags, **kwargs)


CONVERSE = ["--max-tokens", 24, "--temperature", 1.1, "--seed", 3]


def test_conversations_are_what_chat_answers(stocha, talking, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl")
    result = converse(stocha, talking.folder, prompts, tmp_path / "a.jsonl", *CONVERSE, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == list(range(len(PROMPTS)))
    assert summary["conversations"] == len(PROMPTS)
    stops = [line["stop"] for line in lines]
    assert summary["cut"] == stops.count("max_tokens") and 0 < summary["cut"] < len(lines)
    for i in (0, stops.index("stop_id"), stops.index("max_tokens"), len(lines) - 1):
        seed = 3 + (i << 32)
        flags = ["--message", PROMPTS[i], *CONVERSE[:4], "--seed", seed]
        answer = run_ok(stocha, "chat", talking.folder, *flags).removesuffix("\n")
        end = "<|end|>" if stops[i] == "stop_id" else ""
        assert lines[i]["text"] == f"<|user|>{PROMPTS[i]}<|end|><|assistant|>{answer}{end}"
    # Neither the batch nor threads nor the limit change an answer.
    flags = [*CONVERSE, "--batch", 3, "--threads", 1, "--limit", 11]
    assert converse(stocha, talking.folder, prompts, tmp_path / "b.jsonl", *flags).returncode == 0
    whole = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
    assert (tmp_path / "b.jsonl").read_text() == "".join(whole[:11])


def test_conversations_go_on_after_a_kill(stocha, talking, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl")
    expected, output = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    assert converse(stocha, talking.folder, prompts, expected, *CONVERSE).returncode == 0
    whole = expected.read_text().splitlines(keepends=True)
    # As a kill leaves it: answers as they came, the last line half written.
    output.write_text(whole[7] + whole[2] + whole[9][:25])
    result = converse(stocha, talking.folder, prompts, output, *CONVERSE)
    assert result.returncode == 0 and "2 of them from before" in result.stdout
    assert output.read_text() == expected.read_text()
    # Once more: nothing is left to do.
    result = converse(stocha, talking.folder, prompts, output, *CONVERSE)
    assert result.returncode == 0 and output.read_text() == expected.read_text()
    # Ctrl-C: what is there stays, and the same command goes on.
    output.unlink()
    command = [stocha, "converse", talking.folder, "--prompts", prompts, "--output", output, "--batch", "1"]
    process = subprocess.Popen([*map(str, command + CONVERSE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not output.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (0, 1)
    assert set(output.read_text().splitlines(keepends=True)) <= set(whole)
    assert converse(stocha, talking.folder, prompts, output, *CONVERSE).returncode == 0
    assert output.read_text() == expected.read_text()


def test_conversations_that_are_refused(stocha, talking, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl", PROMPTS[:3])
    output = tmp_path / "out.jsonl"
    assert converse(stocha, talking.folder, prompts, output, *CONVERSE).returncode == 0
    before = output.read_text()
    result = converse(stocha, talking.folder, prompts, output, *CONVERSE[:4], "--seed", 4)
    assert_one_line_error(result, f"{output}:1", "other flags")
    write_prompts(prompts, PROMPTS[3:6])
    assert_one_line_error(converse(stocha, talking.folder, prompts, output, *CONVERSE), "other prompts")
    assert output.read_text() == before
    (tmp_path / "notes.jsonl").write_text("mine")
    result = converse(stocha, talking.folder, prompts, tmp_path / "notes.jsonl")
    assert_one_line_error(result, "notes.jsonl:1")
    assert (tmp_path / "notes.jsonl").read_text() == "mine"
    (tmp_path / "bad.jsonl").write_text('{"question": "a"}\n')
    result = converse(stocha, talking.folder, tmp_path / "bad.jsonl", tmp_path / "o.jsonl")
    assert_one_line_error(result, "bad.jsonl:1", "prompt")
    assert not (tmp_path / "o.jsonl").exists()
    (tmp_path / "bad.jsonl").write_text("\n")
    assert_one_line_error(converse(stocha, talking.folder, tmp_path / "bad.jsonl", tmp_path / "o.jsonl"), "no prompts")


def test_prompts_too_long_are_passed_over(stocha, talking, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl", ["a", "word " * 400, "b"])
    result = converse(stocha, talking.folder, prompts, tmp_path / "o.jsonl", *CONVERSE)
    assert result.returncode == 0 and "1 prompts are too long" in result.stdout
    assert [json.loads(line)["prompt"] for line in (tmp_path / "o.jsonl").open()] == [0, 2]


def test_special_tokens_of_conversations_are_ids_in_a_shard(stocha, talking, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl", PROMPTS[:5])
    assert converse(stocha, talking.folder, prompts, tmp_path / "o.jsonl", *CONVERSE).returncode == 0
    texts = [json.loads(line)["text"] for line in (tmp_path / "o.jsonl").open()]
    # A tokenizer that begins every text with its token, as Llama 3's does.
    tokenizer = tokenizers.Tokenizer.from_file(str(talking.folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<|begin|>"])
    begin = tokenizer.token_to_id("<|begin|>")
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", begin)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for flags, special in ((["--no-special"], False), ([], True)):
        shard = tmp_path / "o.tokens"
        files = [tmp_path / "o.jsonl", "--tokenizer", tmp_path / "tokenizer.json", "--output", shard]
        run_ok(stocha, "tokenize", *files, "--end-of-text", "<|end|>", *flags)
        expected = []
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=special).ids
            expected += ids if ids[-1] == 0 else [*ids, 0]
        assert np.fromfile(shard, np.uint16)[32:].tolist() == expected
        assert expected.count(0) >= 2 * len(texts) and (begin in expected) == special
