"""A GPT: a transformer that predicts the next token."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

_DEVIATION = 0.02


class Gpt(nn.Module):
    """Pre-norm transformer with learned positions; the output layer is the token embedding.

    Weights start as in GPT-2: normal of deviation 0.02, the layers that write to the residual stream scaled by
    1 / √(2 · layers), biases zero. It has no dropout.

    Args:
        layers: Blocks of attention and MLP.
        width: Size of the residual stream.
        heads: Attention heads; they divide the width.
        context: Longest sequence.
        vocabulary: Number of tokens.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, §2.3.
    """

    def __init__(self, layers: int, width: int, heads: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                scale = 1 / math.sqrt(2 * layers) if name.endswith(("attention.out.weight", "mlp.2.weight")) else 1.0
                nn.init.normal_(parameter, std=_DEVIATION * scale)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, [batch, time, vocabulary], from tokens [batch, time]."""
        stream = self.tokens(tokens) + self.positions.weight[: tokens.shape[-1]]
        logits: Tensor = F.linear(self.norm(self.blocks(stream)), self.tokens.weight)
        return logits


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = _CausalAttention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, stream: Tensor) -> Tensor:
        stream = stream + self.attention(self.attention_norm(stream))
        result: Tensor = stream + self.mlp(self.mlp_norm(stream))
        return result


class _CausalAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, stream: Tensor) -> Tensor:
        batch, time, width = stream.shape
        split = self.into(stream).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, time, width))
        return result
