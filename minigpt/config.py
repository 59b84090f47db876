"""The two configurations: what the model is (GPTConfig) and how it is trained (TrainConfig).

Both are flat, frozen dataclasses: every field is a plain number, string or boolean, so that a
configuration is a JSON object, a set of command-line options and a line in a table, all at once.
"""

from dataclasses import asdict, dataclass, fields, replace

CHOICES = {
    "norm": ("layer", "rms"),
    "activation": ("gelu", "relu", "relu2", "swiglu"),
    "positions": ("learned", "rope"),
}


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT. Field names are GPT-2's; the letters are those of the book's notation page."""

    vocab_size: int = 256  # V: how many different tokens there are
    block_size: int = 128  # the longest context, in tokens
    n_layer: int = 4  # L: how many blocks are stacked
    n_head: int = 4  # H: attention heads in each block
    n_embd: int = 128  # C: width of the residual stream
    dropout: float = 0.0  # GPT-2 used 0.1; a model that sees each text once needs none
    bias: bool = True  # additive biases in Linear and LayerNorm, as in GPT-2
    tied: bool = True  # the output head is the token embedding (Press & Wolf, 2017)
    norm_eps: float = 1e-5  # the norms' epsilon
    # Newer ideas, each by itself; their first values are GPT-2's. Page 4.2 explains and measures them.
    norm: str = "layer"  # "layer" or "rms" (Zhang & Sennrich, 2019): no mean taken off, no bias
    post_norm: bool = False  # the norm after each residual addition, as in 2017, not before each part
    activation: str = "gelu"  # "gelu" (GPT-2's), "relu" (2017's), "relu2" (squared) or "swiglu" (Shazeer, 2020)
    n_inner: int = 0  # width inside the feed-forward network; 0: 4 · n_embd
    positions: str = "learned"  # "learned" or "rope" (Su et al., 2021): queries and keys are turned by their place
    rope_theta: float = 10000.0  # RoPE: the slowest pair of numbers turns by about 1/theta radians a token
    qk_norm: bool = False  # queries and keys brought to the same length before they are compared
    n_segment: int = 0  # kinds of segments an encoder tells apart (BERT: 2, question and passage); 0: none
    n_kv_head: int = 0  # so many heads of keys and values, each shared by several query heads; 0: n_head

    def __post_init__(self):
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.n_embd % self.n_head:
            near = [h for h in range(1, min(2 * self.n_head, 2**16)) if self.n_embd % h == 0]
            best = min(near, key=lambda h: abs(h - self.n_head))
            wider = -(-self.n_embd // self.n_head) * self.n_head
            raise ValueError(
                f"n_embd={self.n_embd} cannot be shared equally among n_head={self.n_head} heads: "
                f"set n_head={best} or n_embd={wider}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1): 0 switches it off")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps={self.norm_eps} must be above 0: GPT-2 uses 1e-5")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of {', '.join(allowed)}")
        if self.n_kv_head < 0 or self.n_head % self.kv_heads:
            raise ValueError(f"n_kv_head={self.n_kv_head} must divide n_head={self.n_head}, or be 0 for as many")
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"RoPE turns pairs of numbers: head size {self.head_size} must be even, change n_head")
        if self.n_inner < 0 or self.n_segment < 0 or self.rope_theta <= 0:
            raise ValueError("n_inner and n_segment must not be negative, and rope_theta must be above 0")

    @property
    def kv_heads(self) -> int:
        """How many heads of keys and values there are."""
        return self.n_kv_head or self.n_head

    @property
    def inner(self) -> int:
        """The width inside the feed-forward network."""
        return self.n_inner or 4 * self.n_embd

    @property
    def head_size(self) -> int:
        """D = C / H, the width of one head's queries, keys and values."""
        return self.n_embd // self.n_head


# From a model that learns in seconds on a laptop to the four sizes of GPT-2 (Radford et al., 2019).
# The small ones take their vocabulary from the tokenizer: preset("micro", vocab_size=1024).
PRESETS = {
    "nano": GPTConfig(block_size=64, n_layer=2, n_head=4, n_embd=64),  # 0.1 M parameters
    "micro": GPTConfig(block_size=128, n_layer=4, n_head=4, n_embd=128),  # 0.8 M
    "mini": GPTConfig(block_size=256, n_layer=6, n_head=6, n_embd=384),  # 11 M
    "small": GPTConfig(block_size=512, n_layer=8, n_head=8, n_embd=512),  # 26 M
    "gpt2": GPTConfig(50257, 1024, 12, 12, 768, dropout=0.1),  # 124 M
    "gpt2-medium": GPTConfig(50257, 1024, 24, 16, 1024, dropout=0.1),  # 355 M
    "gpt2-large": GPTConfig(50257, 1024, 36, 20, 1280, dropout=0.1),  # 774 M
    "gpt2-xl": GPTConfig(50257, 1024, 48, 25, 1600, dropout=0.1),  # 1558 M
}


# What most models of the years since changed, and what Llama did (Touvron et al., 2023), as changes of a preset:
# preset("micro", **MODERN, vocab_size=1024).
MODERN = dict(norm="rms", activation="relu2", positions="rope", qk_norm=True, bias=False)
LLAMA = dict(norm="rms", activation="swiglu", positions="rope", bias=False)


def preset(name: str, **changes) -> GPTConfig:
    """The preset called `name`, with some fields changed: preset("micro", vocab_size=1024)."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. One step = one update of the weights, from batch_size · accumulate windows."""

    steps: int = 1000  # how many updates in all
    batch_size: int = 32  # windows in one forward pass
    accumulate: int = 1  # forward passes added up before one update
    lr: float = 2e-3  # the highest learning rate; wider models want a lower one
    schedule: str = "wsd"  # "wsd" (warmup, stable, decay), "cosine" or "constant"
    warmup: int = 50  # steps from 0 up to lr
    decay: float = 0.4  # wsd: the last part of the run, in which lr falls
    final_lr: float = 0.0  # where it ends, as a fraction of lr
    weight_decay: float = 0.1  # on matrices and embeddings, never on biases and norms
    beta1: float = 0.9  # AdamW: how much of the mean gradient so far each step keeps
    beta2: float = 0.95  # … and of the mean squared gradient
    clip: float = 1.0  # largest allowed norm of the gradient; 0 switches clipping off
    eval_every: int = 100  # steps between two looks at the whole validation set; 0: only at the end
    patience: int = 0  # stop after so many looks without a better validation loss; 0: never
    sample_every: int = 0  # steps between two samples of generated text; 0: none
    sample_prompt: str = ""
    sample_tokens: int = 64
    save_every: int = 0  # steps between two checkpoints; 0: only at the end
    keep: int = 2  # so many newest checkpoints are kept, and the best one, which patience > 0 always saves
    seed: int = 1337
    device: str = "auto"  # "auto" takes CUDA, else MPS, else the CPU
    dtype: str = "auto"  # "float32", "bfloat16" (weights stay float32), or "auto": what pays on this hardware
    compile: bool = False  # torch.compile: worth its minute of start-up on a GPU

    def __post_init__(self):
        for name in ("steps", "batch_size", "accumulate", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("warmup", "eval_every", "patience", "sample_every", "save_every", "clip", "weight_decay"):
            if not getattr(self, name) >= 0:  # so that NaN is refused too
                raise ValueError(f"{name} must not be negative; 0 switches it off")
        if not self.lr > 0:
            raise ValueError(f"lr={self.lr} must be above 0")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed} must lie between 0 and 2**63 − 1")
        if self.schedule not in ("wsd", "cosine", "constant"):
            raise ValueError(f"schedule={self.schedule!r} must be 'wsd', 'cosine' or 'constant'")
        if not 0 <= self.decay <= 1 or not 0 <= self.final_lr <= 1:
            raise ValueError("decay and final_lr are fractions: both must lie in [0, 1]")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise ValueError(f"dtype={self.dtype!r} must be 'auto', 'float32' or 'bfloat16'")


def to_dict(config) -> dict:
    """A configuration as a plain dictionary, ready for JSON."""
    return asdict(config)


def from_dict(kind, values: dict):
    """The inverse of to_dict. Fields that `kind` does not have are named in the error: a newer version wrote them."""
    unknown = sorted(set(values) - {f.name for f in fields(kind)})
    if unknown:
        raise ValueError(
            f"{kind.__name__} has no field {', '.join(unknown)}: the file was written by another version of minigpt"
        )
    return kind(**values)
