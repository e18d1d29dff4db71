"""Attention between the places of a picture."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Each place looks at all others: the self-attention of SAGAN (Zhang et al. 2019).

    (N,C,h,w) to the same shape: x + gate * attention(x), where queries and keys have C/8
    channels and values C/2. The gate starts at zero, so that the network starts as the one
    without attention and takes it in as far as it helps. The cost grows with (h*w)^2, so this is
    for coarse levels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, few, 1, bias=False)
        self.key = nn.Conv2d(channels, few, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.back = nn.Conv2d(half, channels, 1, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        # One head, because ONNX knows attention by heads only.
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2)[:, None]
            for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value)[:, 0].transpose(1, 2)
        return x + self.gate * self.back(seen.unflatten(2, x.shape[-2:]))


class CrossAttention(nn.Module):
    """Queries (N,Q,C) look at a memory (N,M,D): multi-head attention (Vaswani et al. 2017)."""

    def __init__(self, channels: int, memory: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(memory, channels)
        self.value = nn.Linear(memory, channels)
        self.back = nn.Linear(channels, channels)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(queries), self.key(memory), self.value(memory))
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.back(seen.transpose(1, 2).flatten(2))
