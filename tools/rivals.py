"""Five counters in use, each asked in the way its documentation shows first. Versions: requirements-bench.txt.

Each function takes a network and the shape (C, H, W) of one image and returns what the tool prints as its
number of multiply-adds (it may call them otherwise). A tool is imported when it is asked.
"""

import copy
import io
import warnings
from contextlib import redirect_stderr, redirect_stdout

import torch


def torchinfo(net, image):
    from torchinfo import summary

    return summary(net, input_size=(1, *image), verbose=0, device="cpu").total_mult_adds


def fvcore(net, image):
    from fvcore.nn import FlopCountAnalysis

    return FlopCountAnalysis(net, torch.zeros(1, *image)).total()


def ptflops(net, image):
    from ptflops import get_model_complexity_info

    return get_model_complexity_info(net, tuple(image), as_strings=False, print_per_layer_stat=False)[0]


def thop(net, image):
    from thop import profile

    return profile(net, inputs=(torch.zeros(1, *image),), verbose=False)[0]


def calflops(net, image):
    from calflops import calculate_flops

    options = {"print_results": False, "print_detailed": False, "output_as_string": False}
    return calculate_flops(net, input_shape=(1, *image), **options)[1]


COUNTERS = {f.__name__: f for f in (torchinfo, fvcore, ptflops, thop, calflops)}


def asked(counter, net, image):
    """The number that a counter gives for a copy of the network, or the name of the error that stopped it.

    Gradients stay on, as they are in a session where nobody thought of them: some layers take another path without.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            found = COUNTERS[counter](copy.deepcopy(net).eval(), image)
        except Exception as error:
            return type(error).__name__
    return int(found) if found is not None else "none"
