"""Export a model to ONNX, for other programs and for colorize.py --backend onnx.

    export_onnx.py model.safetensors model.onnx

The file is compared with the model before it is kept: on noise of several sizes their chroma may
differ by 0.1 Lab units at most. See photochrom/models/onnx.py for its inputs and outputs. Needs the
packages of `make extras`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from photochrom.runtime import (
    EXIT_MODEL,
    EXIT_OK,
    StageError,
    log,
    run_stage,
    stage_parser,
    start_log,
    write_bytes,
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.safetensors")
    parser.add_argument("out", type=Path, metavar="OUT", help="the ONNX file to write")
    args = parser.parse_args(argv)
    start_log("export_onnx", args.log)

    from photochrom.models import load_model
    from photochrom.models.onnx import PARITY_LIMIT, export, parity, read_onnx

    model = load_model(args.model)
    content = export(model)
    apart = parity(model, read_onnx(content, str(args.out)))
    if not apart <= PARITY_LIMIT:
        raise StageError(
            f"{args.out} is not written: its chroma is up to {apart:.3g} Lab units from that of "
            f"{args.model}, and may be {PARITY_LIMIT}",
            EXIT_MODEL,
        )
    write_bytes(args.out, content)
    log.info("%s: max |dab| %.2g Lab units from %s", args.out, apart, args.model)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("export_onnx", main))
