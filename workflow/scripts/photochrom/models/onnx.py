"""Models as ONNX files, for places without PyTorch, and networks that run from such files.

The graph takes `L` (1,1,H,W) in L*/50-1, with H and W multiples of `multiple`, and gives `ab`
(1,2,H,W) in ab/110; that of a network which chooses among colour bins also gives their `logits`
(1,Q,h,w). The file's metadata entry `photochrom` is the model's own as JSON, and names the file
that it was exported from. What a network is given to see (`Colorizer.see`) is not in the graph:
metadata `input` tells whether lightness has to be equalized first.

ONNX has no checksum of its own. Fields of protobuf may follow one another in any order, so a file
is the graph's bytes and then the entry, in which their digest stands.
"""

import copy
import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from photochrom.color import AB_SCALE, L_SCALE
from photochrom.models import FORMAT_VERSION, Model, input_of, metadata_sha256
from photochrom.models.base import Colorizer, Distribution
from photochrom.runtime import EXIT_MISSING, EXIT_MODEL, StageError
from photochrom.shipped import missing

# What an exported network may differ by from its original, in Lab units, and the sizes, in
# multiples of its own, at which it is compared.
PARITY_LIMIT = 0.1
PARITY_SIZES = ((1, 1), (3, 4), (7, 2))

# ONNX's standard set of operators that files are written in; ONNX Runtime has had it since 1.14.
OPSET = 18


class OnnxNetwork(Colorizer):
    """A network that runs in ONNX Runtime, on the CPU."""

    def __init__(self, session: Any, multiple: int) -> None:
        super().__init__()
        self.session = session
        self.multiple = multiple

    def forward(self, L: Tensor, *seen: Tensor) -> Tensor:
        return _run(self.session, L, "ab")[0]


class OnnxDistribution(Distribution):
    """A network that chooses among colour bins and runs in ONNX Runtime, on the CPU."""

    def __init__(
        self, session: Any, multiple: int, bins: Any, weights: Any, temperature: float
    ) -> None:
        super().__init__(np.array(bins, np.float32), neighbours=1, temperature=temperature)
        # What rebalancing made of the distribution, which `judged` takes back.
        self.weights.copy_(torch.tensor(weights))
        self.session = session
        self.multiple = multiple

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        logits, ab = _run(self.session, L, "logits", "ab")
        return logits, ab

    def forward(self, L: Tensor, *seen: Tensor) -> Tensor:
        return _run(self.session, L, "ab")[0]


def export(model: Model) -> bytes:
    """A model as the content of an ONNX file; equal models give equal bytes.

    StageError when packages are missing, or the network has parts that ONNX cannot express.
    """
    onnx = _package("onnx")
    _package("onnxscript")
    graph = _graph(_Exported(model.network), model.multiple)
    _forget_sources(graph)
    chosen = model.network if isinstance(model.network, Distribution) else None
    body: bytes = graph.SerializeToString(deterministic=True)
    entry = {
        **{key: value for key, value in model.metadata.items() if key != "metadata_sha256"},
        "exported_from": model.digest,
        "graph_bytes": len(body),
        "graph_sha256": hashlib.sha256(body).hexdigest(),
        "multiple": model.multiple,
        "bins": None if chosen is None else chosen.bins.cpu().tolist(),
        "weights": None if chosen is None else chosen.weights.cpu().tolist(),
        "temperature": None if chosen is None else chosen.temperature,
    }
    entry["metadata_sha256"] = metadata_sha256(entry)
    added = onnx.ModelProto()
    prop = added.metadata_props.add()
    prop.key, prop.value = "photochrom", json.dumps(entry, sort_keys=True, allow_nan=False)
    return body + bytes(added.SerializeToString(deterministic=True))


def load_onnx(path: Path, threads: int = 1) -> Model:
    """Read a model exported by `export`; it behaves as the one that it was exported from.

    StageError when ONNX Runtime or the file is missing, or it is damaged, altered, or was not
    written by `export`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StageError(missing(path), EXIT_MISSING) from None
    return read_onnx(data, str(path), threads)


def read_onnx(data: bytes, name: str, threads: int = 1) -> Model:
    """The model in a file's content; `name` is said where it is refused, as by `load_onnx`."""
    runtime = _package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # its own lines are no sentences for a person
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        entry = json.loads(session.get_modelmeta().custom_metadata_map.get("photochrom", "null"))
        return _model(data, session, entry)
    except ValueError as error:
        raise StageError(f"model {name} is refused: {error}", EXIT_MODEL) from error
    except Exception as error:  # its errors have no class of their own
        raise StageError(
            f"model {name} is refused: it is not a whole ONNX file; export it again with "
            "export_onnx.py",
            EXIT_MODEL,
        ) from error


def parity(model: Model, exported: Model, seed: int = 0) -> float:
    """The greatest |dab|, in Lab units, between two networks on noise of several sizes."""
    noise = torch.Generator().manual_seed(seed)
    greatest = 0.0
    for down, across in PARITY_SIZES:
        size = (1, 1, down * model.multiple, across * model.multiple)
        L = torch.rand(size, generator=noise) * 2 - 1
        with torch.inference_mode():
            apart = (model.network(L) - exported.network(L)).abs().max()
        greatest = max(greatest, float(apart) * AB_SCALE)
    return greatest


def _model(data: bytes, session: Any, entry: Any) -> Model:
    """ValueError says why it is refused."""
    if not isinstance(entry, dict) or "graph_sha256" not in entry:
        raise ValueError("it was not exported by Photochrom")
    if entry.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"its format is {entry.get('format_version')}, this software reads {FORMAT_VERSION}"
        )
    graph = hashlib.sha256(data[: entry["graph_bytes"]]).hexdigest()
    if (graph, metadata_sha256(entry)) != (entry["graph_sha256"], entry["metadata_sha256"]):
        raise ValueError("its checksum does not match: it was damaged or altered; export it again")
    if (entry.get("L_scale"), entry.get("ab_scale")) != (L_SCALE, AB_SCALE):
        raise ValueError("its colour constants are not those of this software")
    network: Colorizer
    if entry["bins"] is None:
        network = OnnxNetwork(session, entry["multiple"])
    else:
        if entry.get("weights") is None:
            raise ValueError("it lacks what rebalancing did to its colours; export it again")
        network = OnnxDistribution(
            session, entry["multiple"], entry["bins"], entry["weights"], entry["temperature"]
        )
    network.clahe = input_of(entry)
    return Model(
        network=network.eval(),
        metadata=entry,
        digest=hashlib.sha256(data).hexdigest(),
        size=entry["size"],
        multiple=entry["multiple"],
        smooth=entry["network"].get("smooth", 0.0),
    )


def _run(session: Any, L: Tensor, *outputs: str) -> list[Tensor]:
    """Some outputs of the graph."""
    found = session.run(list(outputs), {"L": L.float().cpu().numpy()})
    return [torch.from_numpy(value) for value in found]


class _Exported(nn.Module):
    """A copy of a network on the CPU, with the outputs that its file is to have."""

    def __init__(self, network: Colorizer) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().eval()
        fix_padding(self.network)
        chooses = isinstance(network, Distribution)
        self.outputs = ["logits", "ab"] if chooses else ["ab"]

    def forward(self, L: Tensor) -> Any:
        if isinstance(self.network, Distribution):
            return self.network.predict(L)
        return self.network(L)


def fix_padding(module: nn.Module) -> None:
    """Replace timm's convolutions that work out their padding from the picture's size.

    They pad as TensorFlow does ("SAME"). For sizes that are multiples of the stride, as all are
    inside a network that is given multiples of its own, that padding is always the same; and a
    formula of it for any size is beyond the exporter.
    """
    from timm.layers import Conv2dSame

    for name, part in module.named_children():
        if isinstance(part, Conv2dSame):
            setattr(module, name, _padded(part))
        else:
            fix_padding(part)


def _padded(same: nn.Conv2d) -> nn.Sequential:
    """The convolution with the padding that it works out for multiples of its stride."""
    down, across = (
        max(step * (side - 1) + 1 - stride, 0)
        for side, stride, step in zip(same.kernel_size, same.stride, same.dilation, strict=True)
    )
    plain = nn.Conv2d(
        same.in_channels,
        same.out_channels,
        same.kernel_size,  # type: ignore[arg-type]
        same.stride,  # type: ignore[arg-type]
        0,
        same.dilation,  # type: ignore[arg-type]
        same.groups,
        same.bias is not None,
    )
    plain.load_state_dict(same.state_dict())
    sides = (across // 2, across - across // 2, down // 2, down - down // 2)
    return nn.Sequential(nn.ZeroPad2d(sides), plain)


def _graph(exported: _Exported, multiple: int) -> Any:
    """The ONNX ModelProto of a network for any height and width that are multiples."""
    height, width = (torch.export.Dim(name, min=1, max=1 << 12) for name in ("h", "w"))
    example = torch.zeros(1, 1, 3 * multiple, 4 * multiple)
    speaker = logging.getLogger("torch.onnx")
    level = speaker.level
    speaker.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                exported.eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes={"L": {2: multiple * height, 3: multiple * width}},
                input_names=["L"],
                output_names=exported.outputs,
                verbose=False,
            )
    except Exception as error:  # the exporter's are many
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(f"the network cannot be exported to ONNX: {reason}", EXIT_MODEL) from error
    finally:
        speaker.setLevel(level)
    assert program is not None
    return program.model_proto


def _forget_sources(model: Any) -> None:
    """Take out what tells of the exporting machine, such as the paths of its source files."""
    model.doc_string = ""
    del model.metadata_props[:]
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        graph.doc_string = ""
        del graph.metadata_props[:]
        for part in [*graph.node, *graph.value_info]:
            part.doc_string = ""
            del part.metadata_props[:]
    for part in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        part.doc_string = ""
        del part.metadata_props[:]


def _package(name: str) -> Any:
    """A package of the extras; StageError where it is missing."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StageError(
            f"ONNX needs the package {name}; install the extras with: make extras", EXIT_MISSING
        ) from error
