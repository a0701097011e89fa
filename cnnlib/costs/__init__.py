"""What a network costs: a module and the shape of an image go in, rows of cost come out, one a layer.

``trace(net, (3, 224, 224))`` runs the network once for its shapes alone and counts parameters, MACs, memory and
receptive field. ``export`` writes the same network down without sizes, for the cost explorer of the site.
``conventions`` says what papers and other counters would print for the same network.
"""

from cnnlib.costs import conventions
from cnnlib.costs.cost import CONVENTION, Cost, trace
from cnnlib.costs.export import NotExportable, export
from cnnlib.costs.graph import Node, fused, layer_graph
from cnnlib.costs.memory import traffic
from cnnlib.costs.meta_copy import Shape
from cnnlib.costs.rows import Row

__all__ = [
    "CONVENTION",
    "Cost",
    "Node",
    "NotExportable",
    "Row",
    "Shape",
    "conventions",
    "export",
    "fused",
    "layer_graph",
    "trace",
    "traffic",
]
