"""Small random models as transformers saves them, for the tests of what runs models."""

import dataclasses
import pathlib

import tokenizers
import torch
import transformers

SMALL = dict(
    vocab_size=97,
    hidden_size=54,
    intermediate_size=333,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=128,
    tie_word_embeddings=False,
)
TEXT = (
    "In the beginning the engine read one token after another, and the neurons that did not fire "
    "were not read. Größe, naïve, 日本語, 🙂! The same bits came out on one thread and on three.\n"
)

torch.set_num_threads(1)  # the models are tiny


def config(kind, **changes):
    return {
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,  # has no head_dim
        "qwen3": transformers.Qwen3Config,
    }[kind](**(SMALL | changes))


@dataclasses.dataclass
class Saved:
    folder: pathlib.Path
    model: transformers.PreTrainedModel  # float32, of the weights that were saved
    tokenizer: tokenizers.Tokenizer | None = None


def save_random_model(config, dtype, folder, deviation=0.3):
    """Weights large enough that every part of the model shows in the logits."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for name, weight in model.named_parameters():
        is_norm = "norm" in name
        torch.nn.init.normal_(weight, 1.0 if is_norm else 0.0, 0.1 if is_norm else deviation)
    model.to(dtype).save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Saved(folder, model.eval())


def reference_logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def save_talking_model(folder, dtype=torch.float32, deviation=0.3, **sizes):
    """A random model with a tokenizer, and a context of 400 tokens."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    size = dict(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=400, eos_token_id=0)
    changes = dict(hidden_act="relu", head_dim=8, **size) | sizes
    saved = save_random_model(config("llama", **changes), dtype, folder, deviation)
    saved.tokenizer = tokenizer
    return saved
