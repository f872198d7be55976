"""What a language model is, and what it can do: everything above asks for these capabilities, never for a family."""

from transferlm.models._contract.causal import Causal, CountBased, Exportable, HiddenStates, TokenScores, Vocabulary
from transferlm.models._contract.encoding import (
    Compilable,
    Encoder,
    Encoding,
    GrowingVectors,
    MapsVectors,
    QuickEncoder,
    TokenEncoder,
    WordVectors,
)
from transferlm.models._contract.gradients import (
    GradientTrained,
    GrowingTokens,
    LinearLayers,
    Objective,
    ReadOn,
    ReadsOn,
    SelfSupervised,
)
from transferlm.models._contract.kept import KEPT, Kept, read_kept, write_kept
from transferlm.models._contract.masked import Masked
from transferlm.models._contract.model import FromScratch, Model, Trainable, card, digest, made_from
from transferlm.models._contract.requiring import able, require

__all__ = [
    "KEPT",
    "Causal",
    "Compilable",
    "CountBased",
    "Encoder",
    "Encoding",
    "Exportable",
    "FromScratch",
    "GradientTrained",
    "GrowingTokens",
    "GrowingVectors",
    "HiddenStates",
    "Kept",
    "LinearLayers",
    "MapsVectors",
    "Masked",
    "Model",
    "Objective",
    "QuickEncoder",
    "ReadOn",
    "ReadsOn",
    "SelfSupervised",
    "TokenEncoder",
    "TokenScores",
    "Trainable",
    "Vocabulary",
    "WordVectors",
    "able",
    "card",
    "digest",
    "made_from",
    "read_kept",
    "require",
    "write_kept",
]
