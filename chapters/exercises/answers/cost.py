"""Mistakes that people make in the sheet *What a layer costs*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one line.
"""

WRONG = {
    "conv_out": {
        "forgot the first window": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + 2 * pad - dilation * (kernel - 1) - 1) // stride
""",
        "padded one side only": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + pad - dilation * (kernel - 1) - 1) // stride + 1
""",
        "rounded to the nearest": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return round((n + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1)
""",
        "rounded up": """
import math
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return math.ceil((n + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1
""",
        "kept the fraction": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1
""",
        "divided only the image by the stride": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n // stride) + 2 * pad - dilation * (kernel - 1)
""",
        "ignored the dilation": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + 2 * pad - kernel) // stride + 1
""",
        "covered dilation x kernel pixels": """
def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + 2 * pad - dilation * kernel) // stride + 1
""",
    },
    "conv_params": {
        "forgot the biases": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return c_out * (c_in // groups) * kernel**2
""",
        "always added the biases": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return c_out * (c_in // groups) * kernel**2 + c_out
""",
        "one bias in all": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return c_out * (c_in // groups) * kernel**2 + int(bias)
""",
        "ignored the groups": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return c_out * c_in * kernel**2 + (c_out if bias else 0)
""",
        "divided by the groups twice": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return (c_out // groups) * (c_in // groups) * kernel**2 + (c_out if bias else 0)
""",
        "a filter of kernel x 1": """
def conv_params(c_in, c_out, kernel, groups=1, bias=True):
    return c_out * (c_in // groups) * kernel + (c_out if bias else 0)
""",
    },
    "conv_macs": {
        "counted places on the map that is read": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    return height * width * c_out * (c_in // groups) * kernel**2
""",
        "took the width for the height": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    side = (width + 2 * pad - kernel) // stride + 1
    return side**2 * c_out * (c_in // groups) * kernel**2
""",
        "ignored the groups": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
    return h * w * c_out * c_in * kernel**2
""",
        "divided by the groups twice": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
    return h * w * c_out * c_in * kernel**2 // groups**2
""",
        "divided by the stride twice": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
    return h * w * c_out * (c_in // groups) * kernel**2 // stride**2
""",
        "rounded up": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [-(-(n + 2 * pad - kernel) // stride) + 1 for n in (height, width)]
    return h * w * c_out * (c_in // groups) * kernel**2
""",
        "one pad for both ends": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + pad - kernel) // stride + 1 for n in (height, width)]
    return h * w * c_out * (c_in // groups) * kernel**2
""",
        "added the biases": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
    return h * w * c_out * ((c_in // groups) * kernel**2 + 1)
""",
        "counted FLOPs": """
def conv_macs(c_in, c_out, kernel, height, width, stride=1, pad=0, groups=1):
    h, w = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
    return 2 * h * w * c_out * (c_in // groups) * kernel**2
""",
    },
    "peak_memory": {
        "kept all maps": """
def peak_memory(maps, batch=1, dtype="float32"):
    size = {"float64": 8, "float32": 4, "float16": 2, "uint8": 1}[dtype]
    return sum(c * h * w for c, h, w in maps) * batch * size
""",
        "took the largest map alone": """
def peak_memory(maps, batch=1, dtype="float32"):
    size = {"float64": 8, "float32": 4, "float16": 2, "uint8": 1}[dtype]
    return max(c * h * w for c, h, w in maps) * batch * size
""",
        "took the two largest maps": """
def peak_memory(maps, batch=1, dtype="float32"):
    size = {"float64": 8, "float32": 4, "float16": 2, "uint8": 1}[dtype]
    return sum(sorted(c * h * w for c, h, w in maps)[-2:]) * batch * size
""",
        "forgot the batch": """
def peak_memory(maps, batch=1, dtype="float32"):
    size = {"float64": 8, "float32": 4, "float16": 2, "uint8": 1}[dtype]
    n = [c * h * w for c, h, w in maps]
    return max(a + b for a, b in zip(n, n[1:])) * size
""",
        "four bytes for every type": """
def peak_memory(maps, batch=1, dtype="float32"):
    n = [c * h * w for c, h, w in maps]
    return max(a + b for a, b in zip(n, n[1:])) * batch * 4
""",
        "counted bits": """
def peak_memory(maps, batch=1, dtype="float32"):
    bits = {"float64": 64, "float32": 32, "float16": 16, "uint8": 8}[dtype]
    n = [c * h * w for c, h, w in maps]
    return max(a + b for a, b in zip(n, n[1:])) * batch * bits
""",
        "counted numbers": """
def peak_memory(maps, batch=1, dtype="float32"):
    n = [c * h * w for c, h, w in maps]
    return max(a + b for a, b in zip(n, n[1:])) * batch
""",
        "looked at the first layer only": """
def peak_memory(maps, batch=1, dtype="float32"):
    size = {"float64": 8, "float32": 4, "float16": 2, "uint8": 1}[dtype]
    n = [c * h * w for c, h, w in maps]
    return (n[0] + n[1]) * batch * size
""",
    },
    "receptive_field": {
        "ignored the strides": """
def receptive_field(layers):
    return 1 + sum((kernel - 1) * dilation for kernel, stride, dilation in layers)
""",
        "used the layer's own stride": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        apart *= stride
        size += (kernel - 1) * dilation * apart
    return size
""",
        "added the strides up": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel - 1) * dilation * apart
        apart += stride - 1
    return size
""",
        "ignored the dilation": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel - 1) * apart
        apart *= stride
    return size
""",
        "a window of dilation x kernel pixels": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel * dilation - 1) * apart
        apart *= stride
    return size
""",
        "counted the pixels that are touched": """
def receptive_field(layers):
    touched = {0}
    apart = 1
    for kernel, stride, dilation in layers:
        touched = {at + tap * dilation * apart for at in touched for tap in range(kernel)}
        apart *= stride
    return len(touched)
""",
        "let the dilation stay": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel - 1) * dilation * apart
        apart *= stride * dilation
    return size
""",
        "multiplied the sizes": """
def receptive_field(layers):
    size = 1
    for kernel, stride, dilation in layers:
        size *= kernel * dilation
    return size
""",
        "only the layer before counts": """
def receptive_field(layers):
    size, apart = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel - 1) * dilation * apart
        apart = stride
    return size
""",
    },
    "stem": {
        "cut the image into patches": """
def stem():
    return [(CHANNELS, 8, 8, 0)]
""",
        "one window that sees enough": """
def stem():
    return [(CHANNELS, SEES, 8, SEES // 2)]
""",
        "shrank the map last": """
def stem():
    return [(16, 3, 1, 1)] * 10 + [(32, 3, 2, 1), (32, 3, 2, 1), (CHANNELS, 3, 2, 1)]
""",
        "skipped pixels": """
def stem():
    return [(8, 1, 8, 0)] + [(8, 3, 1, 1)] * 4 + [(CHANNELS, 1, 1, 0)]
""",
        "all channels from the start": """
def stem():
    return [(CHANNELS, 3, 2, 1)] * 3 + [(CHANNELS, 3, 1, 1)] * 3
""",
        "stopped at a quarter": """
def stem():
    return [(16, 3, 2, 1), (24, 3, 2, 1)] + [(24, 3, 1, 1)] * 12 + [(CHANNELS, 1, 1, 0)]
""",
        "a single channel through the middle": """
def stem():
    return [(1, 3, 2, 1), (1, 3, 2, 1), (1, 3, 2, 1)] + [(1, 3, 1, 1)] * 4 + [(CHANNELS, 3, 1, 1)]
""",
        "half as wide as it must be": """
def stem():
    return [(CHANNELS // 8, 3, 2, 1)] * 3 + [(CHANNELS // 8, 3, 1, 1)] * 3 + [(CHANNELS, 3, 1, 1)]
""",
        "wrote (kernel, c_out, ...)": """
def stem():
    return [(3, 15, 2, 1), (3, 30, 2, 1), (3, 30, 2, 1), (3, 30, 1, 1), (3, CHANNELS, 1, 1)]
""",
    },
}
