"""The complexity counter against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.complexity import count, count_calls


def macs(module: nn.Module, *inputs: object) -> int:
    return round(count(module, *inputs).gmacs * 1e9)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        # out (16, 8, 8): each value takes 3 x 3 x 3 products.
        (nn.Conv2d(3, 16, 3, stride=2, padding=1), (1, 3, 16, 16), 16 * 8 * 8 * 27),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (2, 8, 5, 5), 2 * 8 * 25 * 9),
        (nn.Conv3d(3, 4, (1, 3, 3)), (1, 3, 5, 6, 6), 4 * 5 * 4 * 4 * 27),
        (nn.Conv1d(4, 6, 5, padding=2, dilation=1), (1, 4, 10), 6 * 10 * 20),
        # every input value is multiplied with 4 x 4 x 5 weights.
        (nn.ConvTranspose2d(3, 5, 4, stride=2), (1, 3, 7, 7), 3 * 49 * 16 * 5),
        (nn.Linear(7, 9), (2, 11, 7), 2 * 11 * 63),
        # steps x gates x hidden x (input + hidden); a second layer reads both directions of the first.
        (nn.LSTM(6, 10, batch_first=True), (2, 8, 6), 16 * 4 * 10 * 16),
        (nn.LSTM(6, 10, num_layers=2, bidirectional=True), (8, 2, 6), 16 * 2 * 4 * 10 * (16 + 30)),
        (nn.GRU(6, 10), (8, 2, 6), 16 * 3 * 10 * 16),
    ],
)
def test_layers_by_hand(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert macs(module, torch.zeros(shape)) == expected
    assert count(module, torch.zeros(shape)).parameters == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_by_hand(batch_first: bool) -> None:
    """4 queries over 6 keys of 3 clips, 8 wide: four projections, scores, and the weighted sum."""
    module = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    query, memory = torch.zeros(3, 4, 8), torch.zeros(3, 6, 8)
    if not batch_first:
        query, memory = query.transpose(0, 1), memory.transpose(0, 1)
    expected = 2 * 12 * 64 + 2 * 18 * 64 + 2 * 3 * 4 * 6 * 8
    assert macs(module, query, memory, memory) == expected
    by_name = count_calls({"a": module}, lambda: module(query=query, key=memory, value=memory))["a"]
    assert round(by_name.gmacs * 1e9) == expected


def test_a_transformer_layer_is_counted_although_torch_has_a_fast_way() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
    expected = 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 32
    assert macs(layer, torch.zeros(1, 5, 8)) == expected


class _Own(nn.Module):
    """A weight that no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def test_parts_repeated_calls_and_what_no_rule_covers() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(), _Own())
    network.train()
    network[2].eval()  # each part gets its own mode back
    found = count(network, torch.zeros(2, 3))
    assert found.parts == {"0": 18e-9, "1": 0, "2": 0, "3": 0}
    assert found.uncounted == ("3",)
    assert [m.training for m in network] == [True, True, False, True]
    assert not network[0]._forward_hooks
    twice = count_calls({"n": network, "first": network[0]}, lambda: [network(torch.zeros(2, 3)) for _ in range(5)])
    assert twice["n"].gmacs == twice["first"].gmacs == pytest.approx(5 * found.gmacs)
    assert twice["n"].per_second(2.5) == pytest.approx(2 * found.gmacs)
    with pytest.raises(PermanentError, match="above 0"):
        found.per_second(0)


def test_packed_sequences_are_refused() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.zeros(3, 2), torch.zeros(2, 2)])
    with pytest.raises(PermanentError, match="packed"):
        count(nn.LSTM(2, 4), packed)
