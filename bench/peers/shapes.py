"""The shapes of the models that are compared: names and sizes are those of stocha/bench/shape.cc."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    """A llama-like transformer; the head is tied to the embedding."""

    name: str
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    def llama_config(self) -> dict:
        """Arguments of transformers.LlamaConfig."""
        return {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "tie_word_embeddings": True,
        }


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("llama-3.2-1b", 2048, 8192, 16, 32, 8, 128256),
        Shape("llama-3.2-3b", 3072, 8192, 28, 24, 8, 128256),
        Shape("lm1.5b", 2048, 8192, 20, 32, 8, 128256),
        Shape("lm3b", 3072, 8192, 26, 24, 8, 128256),
        Shape("smollm2-135m", 576, 1536, 30, 9, 3, 49152),
    )
}


def shape_named(text: str) -> Shape:
    """A name of SHAPES, or D,F,L,H,KV,V: sizes of hidden, FFN, layers, heads, KV heads, vocabulary."""
    if text in SHAPES:
        return SHAPES[text]
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) != 6 or min(sizes) < 1 or sizes[0] % sizes[3] or sizes[3] % sizes[4]:
        raise ValueError(f"shape {text!r}: expected {', '.join(SHAPES)} or D,F,L,H,KV,V")
    return Shape(text, *sizes)
