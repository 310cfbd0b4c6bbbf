"""Counts the weights and the multiply-adds of networks while they run: Table 3 of the paper.

Convention: one multiply-add counts once, so FLOPs of the kind that count both are twice as many; the paper's table fits
multiply-adds (its entry for EAMM is the 55 GMAC of that renderer). Counted are convolutions, transposed ones, linear
layers, attention and LSTM/GRU cells; biases, norms, activations, pooling and sums are not. Arithmetic outside of torch
modules cannot be seen: modules that hold weights of their own without a rule here are named in `uncounted`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from magictalk_core.errors import PermanentError

__all__ = ["Complexity", "count", "count_calls"]

_FREE = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.RMSNorm,
    nn.PReLU,
    nn.Embedding,
)
"""They have weights and no multiply-adds worth counting."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

Rule = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], int]


@dataclass(frozen=True)
class Complexity:
    """`parameters`: weights of the network; `gmacs`: 1e9 multiply-adds that it took; `parts`: gmacs per direct child,
    by name; `uncounted`: modules with weights of their own that no rule covers and that took part."""

    parameters: int
    gmacs: float
    parts: Mapping[str, float]
    uncounted: tuple[str, ...]

    def per_second(self, seconds: float) -> float:
        """GMACs per second of video, where the counted run made `seconds` of it. Raises `PermanentError` unless > 0."""
        if seconds <= 0:
            raise PermanentError(f"expected seconds of video above 0, found {seconds}")
        return self.gmacs / seconds


def count(module: nn.Module, *inputs: Any) -> Complexity:
    """Of one call `module(*inputs)`, in eval mode and without gradients; the module's mode is put back."""
    return count_calls({"network": module}, lambda: module(*inputs))["network"]


def count_calls(modules: Mapping[str, nn.Module], run: Callable[[], object]) -> dict[str, Complexity]:
    """Of all that the modules do while `run` runs, however often it calls them: a diffusion model's steps all count."""
    with torch.no_grad(), _counting(modules) as macs:
        run()
    return {name: _complexity(module, macs) for name, module in modules.items()}


@contextmanager
def _counting(modules: Mapping[str, nn.Module]) -> Iterator[dict[nn.Module, int]]:
    """Multiply-adds by module, filled by the calls within; modules without a rule are entered with -1."""
    macs: dict[nn.Module, int] = {}
    inner = {m for module in modules.values() for m in module.modules()}
    modes = {m: m.training for m in inner}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        rule = _rule(module)
        macs[module] = -1 if rule is None else macs.get(module, 0) + rule(module, args, kwargs, output)

    counted = [m for m in inner if _rule(m) is not None or (_holds_weights(m) and not isinstance(m, _FREE))]
    handles = [m.register_forward_hook(note, with_kwargs=True) for m in counted]
    try:
        for module in modules.values():
            module.eval()
        yield macs
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


def _holds_weights(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _complexity(module: nn.Module, macs: Mapping[nn.Module, int]) -> Complexity:
    parts = {name: _gmacs(child, macs) for name, child in module.named_children()}
    uncounted = tuple(name or type(module).__name__ for name, m in module.named_modules() if macs.get(m, 0) < 0)
    return Complexity(sum(p.numel() for p in module.parameters()), _gmacs(module, macs), parts, uncounted)


def _gmacs(module: nn.Module, macs: Mapping[nn.Module, int]) -> float:
    return sum(max(0, macs.get(m, 0)) for m in module.modules()) / 1e9


def _rule(module: nn.Module) -> Rule | None:
    for kinds, rule in _RULES:
        if isinstance(module, kinds):
            return rule
    return None


def _of_convolution(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> int:
    return int(output.numel() * math.prod(module.kernel_size) * (module.in_channels // module.groups))


def _of_transposed(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> int:
    values: Tensor = args[0] if args else kwargs["input"]
    return int(values.numel() * math.prod(module.kernel_size) * (module.out_channels // module.groups))


def _of_linear(module: nn.Linear, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> int:
    return output.numel() * module.in_features


def _of_attention(
    module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: dict[str, Any], output: tuple[Tensor, Tensor | None]
) -> int:
    """Projections of query, key and value, scores, weighted values, and the projection of the result."""
    query, key, value = (args[i] if i < len(args) else kwargs[n] for i, n in enumerate(("query", "key", "value")))
    width = module.embed_dim
    asked, held = query.numel() // width, key.numel() // key.shape[-1]
    keys_of_a_query = held if key.dim() == 2 else key.shape[1 if module.batch_first else 0]
    projected = 2 * asked * width * width + held * width * (key.shape[-1] + value.shape[-1])
    return int(projected + 2 * asked * keys_of_a_query * width)


def _of_recurrent(
    module: nn.LSTM | nn.GRU, args: tuple[Any, ...], kwargs: dict[str, Any], output: tuple[Tensor, Any]
) -> int:
    """Gates x (input + state) x hidden for every step, layer and direction."""
    if not isinstance(output[0], Tensor):
        raise PermanentError("complexity: expected sequences as one tensor, found packed ones: count them padded")
    steps = output[0].numel() // output[0].shape[-1]
    gates = 4 if isinstance(module, nn.LSTM) else 3
    directions = 2 if module.bidirectional else 1
    size, state = module.hidden_size, module.proj_size or module.hidden_size
    total = 0
    for layer in range(module.num_layers):
        fed = module.input_size if layer == 0 else state * directions
        total += directions * (gates * size * (fed + state) + module.proj_size * size)
    return steps * total


_RULES: tuple[tuple[Any, Rule], ...] = (
    (_CONVOLUTIONS, _of_convolution),
    (_TRANSPOSED, _of_transposed),
    (nn.Linear, _of_linear),
    (nn.MultiheadAttention, _of_attention),
    ((nn.LSTM, nn.GRU), _of_recurrent),
)
