"""Networks: ids -> logits. None of them knows a tokenizer: what they must know of its symbols is an `Alphabet`.

A model is one file here and one line in ``MODELS``. Each has ``loss(batch, state)``, ``start(prompt_ids)`` and
``step(ids, state)``; its state has ``select(rows)``.
"""

from __future__ import annotations

from seqgen.models.attention import ATTENTIONS, NO_ATTENTION
from seqgen.models.base import Model
from seqgen.models.cells import CELLS
from seqgen.models.language import Batch, LanguageModel
from seqgen.models.layers import State
from seqgen.models.reply import Exchanges, ReplyModel, ReplyState

__all__ = [
    "ATTENTIONS",
    "CELLS",
    "MODELS",
    "NO_ATTENTION",
    "Batch",
    "Exchanges",
    "LanguageModel",
    "Model",
    "ReplyModel",
    "ReplyState",
    "State",
]

MODELS: dict[str, type[LanguageModel] | type[ReplyModel]] = {model.name: model for model in (LanguageModel, ReplyModel)}
