"""A vision transformer (Dosovitskiy et al., arXiv 2010.11929) in DeiT's tiny size (arXiv 2012.12877)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VisionTransformer(nn.Module):
    """Patches, learnt positions, pre-norm blocks, mean over the patches, linear head; no class token, no dropout.

    The defaults are ViT-Ti: 12 blocks, width 192, 3 heads; 5.4 million parameters. Takes [batch, inputs, size, size].

    Args:
        size: Height and width of the images.
        outputs: Number of classes.
        inputs: Channels of the images.
        patch: Height and width of a patch; None for 4 up to 64 pixels, 8 up to 128, and 16 above.

    Raises:
        ValueError: The size is not a multiple of the patch.
    """

    def __init__(
        self,
        size: int,
        outputs: int,
        inputs: int = 3,
        patch: int | None = None,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
    ) -> None:
        super().__init__()
        patch = patch or (4 if size <= 64 else 8 if size <= 128 else 16)
        if size % patch:
            raise ValueError(f"images of {size}×{size} do not divide into patches of {patch}×{patch}")
        self.patches = nn.Conv2d(inputs, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.empty((size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        outputs: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return outputs


class _Block(nn.Module):
    """Attention and an MLP of four times the width, each behind its norm and beside an identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x))
        outputs: Tensor = x + self.mlp(self.norm2(x))
        return outputs

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention over the tokens of [batch, tokens, width]."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        outputs: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return outputs


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
