"""What a machine does: a network goes in, rows of measured time, memory and energy come out, beside the prediction.

``networks`` and ``batches`` measure in turns, ``survey`` in rounds what does not fit into memory together;
``roofline`` says whether arithmetic or memory is the limit; ``pareto_front`` picks what nothing else beats on both
counts.
"""

from cnnlib.measuring import roofline
from cnnlib.measuring.instruments import NOT_AVAILABLE, energy_meter, peak_memory
from cnnlib.measuring.measure import LayerTime, Measured, batches, layers, networks
from cnnlib.measuring.rounds import load, pareto_front, survey

__all__ = [
    "LayerTime",
    "Measured",
    "NOT_AVAILABLE",
    "batches",
    "energy_meter",
    "layers",
    "load",
    "networks",
    "pareto_front",
    "peak_memory",
    "roofline",
    "survey",
]
