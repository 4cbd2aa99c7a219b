"""Style attention: content tokens look up what the style flow has to say about them.

The paper calls it SAM; the word is kept for sharpness-aware minimisation here. Tensor names are
those of the stage-2 code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from styleflow.errors import ShapeMismatch


class StyleAttention(nn.Module):
    """Single-headed attention whose queries are content and whose keys and values are style.

    Source: StyleFlow (Choi et al., CVPR 2024), stage 2.
    Departs: takes any number of style tokens. A StyleGRU of width 4096 gives sixteen of 1024, one
    of width 1024 gives four; they are hidden states cut into pieces, not moments in time.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.w_q = nn.Linear(width, width)
        self.w_k = nn.Linear(width, width)
        self.w_v = nn.Linear(width, width)
        self.lp = nn.Linear(width, width)
        # Training starts from the content branch alone, to which style is then added.
        nn.init.zeros_(self.lp.weight)

    def forward(self, tokens: Tensor, code: Tensor) -> Tensor:
        """Return content tokens enriched by style, `(B, T, D)`.

        Args:
            tokens: content tokens, `(B, T, D)`.
            code: StyleGRU's code, `(B, K * D)`, K >= 1.

        Raises:
            ShapeMismatch: a code that cannot be cut into tokens of this width.
        """
        attention, style = self.attend(tokens, code)
        return tokens + self.say(attention, style)

    def attend(self, tokens: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attention, `(B, T, K)`, rows adding up to 1, and the style tokens."""
        if code.ndim != 2 or code.shape[1] == 0 or code.shape[1] % self.width:
            raise ShapeMismatch("style code", f"(B, multiple of {self.width})", code.shape)
        style = code.reshape(len(code), -1, self.width)  # (B, K, D)
        logits = self.w_q(tokens) @ self.w_k(style).transpose(1, 2)
        return torch.softmax(logits * self.width**-0.5, dim=2), style

    def say(self, attention: Tensor, style: Tensor) -> Tensor:
        """Return what style adds to each content token, `(B, T, D)`."""
        y: Tensor = self.lp(attention @ self.w_v(style))
        return y
