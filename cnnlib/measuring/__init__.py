"""What a machine does: a network goes in, rows of measured time, memory and energy come out, beside the prediction.

``networks`` and ``batches`` measure in turns; ``roofline`` says whether arithmetic or memory is the limit; ``front``
picks what nothing else beats on both counts.
"""

from cnnlib.measuring import roofline
from cnnlib.measuring.instruments import ABSENT, peak_memory, spent
from cnnlib.measuring.measure import LayerTime, Measured, batches, layers, load, networks
from cnnlib.measuring.pareto import front

__all__ = [
    "ABSENT",
    "LayerTime",
    "Measured",
    "batches",
    "front",
    "layers",
    "load",
    "networks",
    "peak_memory",
    "roofline",
    "spent",
]
