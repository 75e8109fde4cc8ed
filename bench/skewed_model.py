"""A packed model of `stocha bench --shape` whose neurons fire as unevenly as those of a real one.

    .venv/bin/python bench/skewed_model.py SYNTHETIC.gguf CALIBRATED.gguf OUT.gguf

Random gates fire all alike, so that there is nothing for `stocha calibrate` to order. Here each
gate row is scaled so that its neuron passes the layer's threshold at a rate of its own: the rates
are those of CALIBRATED, a real model that `stocha calibrate` wrote, made smaller together to the
synthetic model's active fraction, and dealt to neurons at random. The tokenizer is the real model's
too, filled up, so that a text can be run. It says something about speed, nothing about quality.
"""

import argparse
import json
import pathlib
import statistics
import sys

import gguf
import numpy as np

MOST = 0.45  # gates are normal around 0: none passes a positive threshold more often than half
PARTS = 10


def rates(fired: np.ndarray, neurons: int, active: float) -> np.ndarray:
    """Of each neuron, hottest first: the curve through `fired`, [PARTS], with the mean `active`."""
    middle = (np.arange(PARTS) + 0.5) / PARTS
    curve = np.interp((np.arange(neurons) + 0.5) / neurons, middle, np.log(np.maximum(fired, 1e-6)))
    low, high = 1e-6, 1e6
    for _ in range(100):
        factor = (low * high) ** 0.5
        scaled = np.clip(np.exp(curve) * factor, 1e-6, MOST)
        low, high = (factor, high) if scaled.mean() < active else (low, factor)
    return scaled


def scaled_rows(rows: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """High-plane rows of a gate, whose float16 scales stand behind the nibbles: n / 2 bytes, then
    n / 16."""
    values = rows.shape[1] * 16 // 9
    scaled = np.array(rows).view(np.uint8)
    scales = scaled[:, values // 2 :].copy().view(np.float16).astype(np.float32)
    scaled[:, values // 2 :] = (scales * factors[:, None]).astype(np.float16).view(np.uint8)
    return scaled.view(np.int8)


def padded(tokenizer: str, vocab_size: int) -> str:
    """tokenizer.json with a token for every id that the model may draw."""
    content = json.loads(tokenizer)
    vocab = content["model"]["vocab"]
    ids = {*vocab.values(), *(token["id"] for token in content["added_tokens"])}
    vocab |= {f"unused{i}": i for i in range(vocab_size) if i not in ids}
    return json.dumps(content, ensure_ascii=False)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("synthetic", type=pathlib.Path, help="of type q8_0")
    parser.add_argument("calibrated", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--active", type=float, default=0.1, help="as the synthetic model has (0.1)")
    options = parser.parse_args(arguments)
    real = gguf.GGUFReader(options.calibrated).fields
    if "stocha.neuron_fired" not in real:
        sys.exit(f"skewed_model: error: {options.calibrated}: run stocha calibrate first")
    fired = np.array(real["stocha.neuron_fired"].contents()).reshape(-1, PARTS).mean(0)
    source = gguf.GGUFReader(options.synthetic)
    normal = statistics.NormalDist()
    threshold = normal.inv_cdf(1 - options.active)
    random = np.random.default_rng(1)

    writer = gguf.GGUFWriter(options.output, "stocha")
    writer.add_custom_alignment(64)
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.alignment"):
            continue
        kinds = field.types
        writer.add_key_value(name, field.contents(), kinds[0], kinds[1] if len(kinds) > 1 else None)
    vocab_size = json.loads(source.fields["stocha.config"].contents())["vocab_size"]
    writer.add_string("stocha.tokenizer", padded(real["stocha.tokenizer"].contents(), vocab_size))
    for tensor in source.tensors:
        data = np.asarray(tensor.data)
        if tensor.name.endswith("gate_proj.weight.high"):
            chances = random.permutation(rates(fired, len(data), options.active))
            factors = [threshold / normal.inv_cdf(1 - chance) for chance in chances]
            data = scaled_rows(data, np.array(factors, np.float32))
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
