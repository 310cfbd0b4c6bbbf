"""The DeepSpeech network in torch: context windows in, raw logits of 29 classes out, 50 steps per second.

Three dense layers (ReLU clipped at 20), one LSTM, a fourth such dense layer, and a linear layer to the classes: space,
a to z, apostrophe, and CTC's blank (mozilla/DeepSpeech, v0.1.0 DeepSpeech.py and v0.9.3 training/deepspeech_training/
train.py). 0.9.x has one LSTM direction, 0.1.0 two, whose outputs are joined.

`DeepSpeech.forward` returns **raw logits** only. Log-probabilities come from `log_probabilities` and from nowhere else.
(The published 0.9.3 graph calls its *probabilities* `logits`; what is meant here is its node `raw_logits`.)

Stored weights carry TensorFlow's layout (`weight_shapes`), so that a converted file can be compared with its source;
`network_from_weights` turns them into torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from magictalk_core.errors import PermanentError
from magictalk_core.speech.mfcc import CONTEXT_SIZE

__all__ = [
    "ALPHABET",
    "BLANK",
    "CLASSES",
    "DEEPSPEECH_010",
    "DEEPSPEECH_093",
    "DEEPSPEECH_SMALL",
    "DeepSpeech",
    "DeepSpeechConfig",
    "State",
    "log_probabilities",
    "network_from_weights",
    "weight_shapes",
    "weights_of",
]

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"
CLASSES = len(ALPHABET) + 1
BLANK = CLASSES - 1
"""Index of CTC's blank, the class of silence and of the steps between letters."""

_CEILING = 20.0

State = tuple[torch.Tensor, torch.Tensor]
"""(hidden, cell) of the LSTM, each (directions, clips, recurrent); the second direction runs from the end."""


@dataclass(frozen=True)
class DeepSpeechConfig:
    """Sizes: `hidden` of dense layers 1, 2 and 5, `recurrent` of the LSTM in each direction."""

    hidden: int
    recurrent: int
    bidirectional: bool = False

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1


DEEPSPEECH_093 = DeepSpeechConfig(2048, 2048)
"""47.2 million weights."""
DEEPSPEECH_010 = DeepSpeechConfig(2048, 2048, bidirectional=True)
"""122.7 million weights."""
DEEPSPEECH_SMALL = DeepSpeechConfig(448, 448)
"""2.4 million weights: 4.9 MB in half precision."""


class DeepSpeech(nn.Module):
    """The network; `config` has its sizes."""

    def __init__(self, config: DeepSpeechConfig) -> None:
        super().__init__()
        self.config = config
        # Layers 3 and 5 meet the LSTM at its output width in both versions.
        joined = config.directions * config.recurrent
        self.layer_1 = nn.Linear(CONTEXT_SIZE, config.hidden)
        self.layer_2 = nn.Linear(config.hidden, config.hidden)
        self.layer_3 = nn.Linear(config.hidden, joined)
        self.lstm = nn.LSTM(joined, config.recurrent, batch_first=True, bidirectional=config.bidirectional)
        self.layer_5 = nn.Linear(joined, config.hidden)
        self.layer_6 = nn.Linear(config.hidden, CLASSES)

    def initial_state(self, clips: int) -> State:
        """Zeros, as at the beginning of a clip."""
        shape = (self.config.directions, clips, self.config.recurrent)
        zeros = self.layer_1.weight.new_zeros(shape)
        return zeros, zeros.clone()

    def forward(
        self, contexts: torch.Tensor, lengths: torch.Tensor | None = None, state: State | None = None
    ) -> tuple[torch.Tensor, State]:
        """Raw logits (clips, steps, 29) of contexts (clips, steps, 494), and the state behind each clip's last step.

        `lengths` (clips,), from 1 to steps, are the steps that count; rows behind them hold nothing of use. None: all.
        `state` is what an earlier call returned for the steps before these; None at the beginning of the clips. With
        two directions its second half is the state of the steps *after* these, and so is the second half of the result
        the state of these steps for a call on the ones before them.
        """
        state = self.initial_state(len(contexts)) if state is None else state
        recurrent, state = _recur(self.lstm, self._encode(contexts), lengths, state)
        return self.layer_6(self.layer_5(recurrent).clamp(0.0, _CEILING)), state

    def advance(self, contexts: torch.Tensor, lengths: torch.Tensor | None = None, state: State | None = None) -> State:
        """The forward direction's state behind these steps, (1, clips, recurrent) twice, and no logits.

        For the first pass over a long clip with two directions: the backward direction is not computed.
        """
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = {name: getattr(self.lstm, name) for name in names}
        with torch.device("meta"):
            one_way = nn.LSTM(self.lstm.input_size, self.lstm.hidden_size, batch_first=True)

        def run(*arguments: Any) -> Any:
            return functional_call(one_way, weights, arguments)

        hidden, cell = self.initial_state(len(contexts)) if state is None else state
        return _recur(run, self._encode(contexts), lengths, (hidden[:1].contiguous(), cell[:1].contiguous()))[1]

    def _encode(self, contexts: torch.Tensor) -> torch.Tensor:
        for layer in (self.layer_1, self.layer_2, self.layer_3):
            contexts = layer(contexts).clamp(0.0, _CEILING)
        return contexts


def _recur(
    lstm: Callable[..., Any], x: torch.Tensor, lengths: torch.Tensor | None, state: State
) -> tuple[torch.Tensor, State]:
    """Outputs and last state of an LSTM that ends at each clip's own length."""
    steps = x.shape[1]
    if lengths is None or bool((lengths == steps).all()):
        out, state = lstm(x, state)
        return out, state
    # Packed, the LSTM stops at each clip's own end, and starts there on its way back.
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    out, state = lstm(packed, state)
    return pad_packed_sequence(out, batch_first=True, total_length=steps)[0], state


def log_probabilities(raw_logits: torch.Tensor) -> torch.Tensor:
    """Natural log of the softmax over the last axis of raw logits (..., 29)."""
    return raw_logits.float().log_softmax(-1)


# --- stored weights ------------------------------------------------------------------------------------------------


def weight_shapes(config: DeepSpeechConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor.

    `layer_<n>.weight` (out, in) and `layer_<n>.bias` (out,), n = 1, 2, 3, 5, 6. `lstm.kernel` (in + recurrent, 4
    recurrent) and `lstm.bias` (4 recurrent,) as TensorFlow keeps them: columns in the order input gate, candidate,
    forget gate, output gate; nothing is added to the forget gate later (a graph's forget bias is already in the bias).
    With two directions also `lstm.kernel_reverse` and `lstm.bias_reverse`.
    """
    hidden, joined = config.hidden, config.directions * config.recurrent
    sizes = {1: (hidden, CONTEXT_SIZE), 2: (hidden, hidden), 3: (joined, hidden), 5: (hidden, joined)}
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (out, into) in {**sizes, 6: (CLASSES, hidden)}.items():
        shapes |= {f"layer_{number}.weight": (out, into), f"layer_{number}.bias": (out,)}
    for direction in ("", "_reverse")[: config.directions]:
        shapes[f"lstm.kernel{direction}"] = (joined + config.recurrent, 4 * config.recurrent)
        shapes[f"lstm.bias{direction}"] = (4 * config.recurrent,)
    return shapes


def _swap_gates(gates: torch.Tensor) -> torch.Tensor:
    """Rows i, j, f, o (TensorFlow) to rows i, f, j, o (torch), or back: the same exchange."""
    i, second, third, o = gates.chunk(4)
    return torch.cat([i, third, second, o])


def network_from_weights(
    config: DeepSpeechConfig, weights: Mapping[str, torch.Tensor], where: str = "DeepSpeech weights"
) -> DeepSpeech:
    """The network in evaluation mode, float32, from tensors as `weight_shapes` lists them (any float type).

    Raises `PermanentError`, beginning with `where`, for a tensor that is missing, unknown, of another shape, or not
    finite.
    """
    shapes = weight_shapes(config)
    if set(weights) != set(shapes):
        missing, unknown = sorted(set(shapes) - set(weights)), sorted(set(weights) - set(shapes))
        raise PermanentError(f"{where}: missing tensors {missing}, unknown tensors {unknown}")
    state: dict[str, torch.Tensor] = {}
    for name, shape in shapes.items():
        value = weights[name].float()
        if tuple(value.shape) != shape:
            raise PermanentError(f"{where}: expected `{name}` of shape {shape}, found {tuple(value.shape)}")
        if not bool(value.isfinite().all()):
            raise PermanentError(f"{where}: `{name}` has values that are not finite")
        if name.startswith("lstm.kernel"):
            rows = _swap_gates(value.T)
            into, hidden = rows[:, : -config.recurrent], rows[:, -config.recurrent :]
            suffix = "l0" + name.removeprefix("lstm.kernel")
            state |= {f"lstm.weight_ih_{suffix}": into, f"lstm.weight_hh_{suffix}": hidden}
        elif name.startswith("lstm.bias"):
            suffix = "l0" + name.removeprefix("lstm.bias")
            # torch adds two biases; TensorFlow has one.
            state |= {f"lstm.bias_ih_{suffix}": _swap_gates(value), f"lstm.bias_hh_{suffix}": torch.zeros_like(value)}
        else:
            state[name] = value
    with torch.device("meta"):
        network = DeepSpeech(config)
    network.load_state_dict({name: value.contiguous() for name, value in state.items()}, assign=True)
    return network.eval().requires_grad_(False)


def weights_of(network: DeepSpeech) -> dict[str, torch.Tensor]:
    """The tensors of a network as `weight_shapes` lists them, contiguous and detached: what is stored."""
    state = network.state_dict()
    weights = {name: value for name, value in state.items() if name.startswith("layer_")}
    for direction in ("", "_reverse")[: network.config.directions]:
        suffix = "l0" + direction
        kernel = torch.cat([state[f"lstm.weight_ih_{suffix}"], state[f"lstm.weight_hh_{suffix}"]], dim=1)
        weights[f"lstm.kernel{direction}"] = _swap_gates(kernel).T
        weights[f"lstm.bias{direction}"] = _swap_gates(
            state[f"lstm.bias_ih_{suffix}"] + state[f"lstm.bias_hh_{suffix}"]
        )
    return {name: value.detach().contiguous() for name, value in weights.items()}
