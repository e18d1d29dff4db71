"""Models as ONNX files: as the originals, whole or refused, and of nothing but the model."""

import json
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch

import colorize
import export_onnx
from archive_room import make_scans
from photochrom.clahe import Clahe
from photochrom.models import build, load_model, save_model
from photochrom.models.base import Distribution
from photochrom.models.onnx import PARITY_LIMIT, export, load_onnx, parity, read_onnx
from photochrom.runtime import (
    EXIT_MISSING,
    EXIT_MODEL,
    EXIT_OK,
    EXIT_USAGE,
    StageError,
    run_stage,
)

LITE0 = "tf_efficientnet_lite0"
CHOICE = {"neighbours": 5, "temperature": 0.38}
TINY = {
    "unet": {"name": "unet", "width": 8, "depth": 3, "dropout": 0.2, "attention": True},
    "seed": {"name": "unet", "design": "seed", "width": 8, "depth": 4, "dropout": 0.5},
    "encoder-unet": {"name": "encoder-unet", "encoder": LITE0, "width": 16},
    "zhang16": {"name": "zhang16", "width": 4, **CHOICE},
    "fusion": {"name": "fusion", "width": 4},
    "photochrom": {"name": "photochrom", "encoder": LITE0, "width": 16, **CHOICE},
}


def saved(folder: Path, name: str, **more: object) -> Path:
    torch.manual_seed(0)
    network = build(TINY[name])
    # Running statistics and biases other than those of a new network.
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            if value.is_floating_point() and value.ndim == 1 and len(value) not in (261, 313):
                value.add_(0.1 * torch.rand(value.shape))
        if isinstance(network, Distribution):  # as one that was trained with rebalancing
            network.weights.copy_(0.2 + 3 * torch.rand(network.weights.shape))
    path = folder / f"{name}.safetensors"
    metadata = {"network": TINY[name], "size": 64, "experiment": name, "phase": "one", **more}
    save_model(path, network, metadata)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model that chooses among bins, and its export."""
    folder = tmp_path_factory.mktemp("onnx")
    path = saved(folder, "zhang16")
    assert run_stage("x", lambda: export_onnx.main([str(path), str(folder / "m.onnx")])) == EXIT_OK
    return path, folder / "m.onnx"


@pytest.mark.parametrize("name", TINY)
def test_an_export_paints_as_its_original(name: str, tmp_path: Path) -> None:
    model = load_model(saved(tmp_path, name))
    copy = read_onnx(export(model), "copy")
    assert parity(model, copy) <= PARITY_LIMIT
    assert (copy.size, copy.multiple) == (model.size, model.multiple)
    assert copy.metadata["exported_from"] == model.digest
    # A size that parity does not try, and a network that says how sure it is.
    L = torch.rand(1, 1, 2 * model.multiple, 5 * model.multiple) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(copy.network(L), model.network(L), rtol=0, atol=1e-3)
        assert isinstance(copy.network, Distribution) == isinstance(model.network, Distribution)
        if isinstance(model.network, Distribution) and isinstance(copy.network, Distribution):
            for mine, its in zip(copy.network.judged(L), model.network.judged(L), strict=True):
                torch.testing.assert_close(mine, its, rtol=0, atol=1e-3)


def test_equal_models_give_equal_files_that_tell_nothing_of_the_machine(
    exported: tuple[Path, Path],
) -> None:
    model, file = exported
    content = file.read_bytes()
    assert export(load_model(model)) == content
    assert str(Path.cwd()).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content


def test_an_input_transform_stays_with_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, "unet", input={"clahe": {"clip": 2.0, "tiles": 4}})
    copy = read_onnx(export(load_model(path)), "copy")
    assert copy.network.clahe == Clahe(2.0, 4)


def test_faulty_files_are_refused_by_name(exported: tuple[Path, Path], tmp_path: Path) -> None:
    content = exported[1].read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for number, fault in enumerate((content[:-500], content[:middle], b"", b"PK", flipped)):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(fault)
        with pytest.raises(StageError, match=rf"model {path} is refused: ") as refused:
            load_onnx(path)
        assert refused.value.code == EXIT_MODEL
        assert "\n" not in str(refused.value)
    with pytest.raises(StageError, match="there is no model at"):
        load_onnx(tmp_path / "none.onnx")


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    import onnx

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9
    )
    (tmp_path / "foreign.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(StageError, match="it was not exported by Photochrom"):
        load_onnx(tmp_path / "foreign.onnx")


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch, exported: tuple[Path, Path]) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(StageError, match="install the extras with: make extras") as missing:
        load_onnx(exported[1])
    assert missing.value.code == EXIT_MISSING


def test_what_differs_too_much_is_not_written(
    monkeypatch: pytest.MonkeyPatch, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    monkeypatch.setattr("photochrom.models.onnx.parity", lambda model, copy: 0.2)
    arguments = [str(exported[0]), str(tmp_path / "m.onnx")]
    assert run_stage("x", lambda: export_onnx.main(arguments)) == EXIT_MODEL
    assert not (tmp_path / "m.onnx").exists()


def test_an_archive_by_both_backends(exported: tuple[Path, Path], tmp_path: Path) -> None:
    make_scans(tmp_path / "scans")
    model, file = exported

    def paint(name: str, *options: str) -> int:
        arguments = [str(tmp_path / "scans"), str(tmp_path / name), "--device", "cpu", *options]
        return run_stage("colorize", lambda: colorize.main(arguments))

    assert paint("torch", "--model", str(model)) == EXIT_OK
    assert paint("onnx", "--model", str(file), "--backend", "onnx") == EXIT_OK
    one, other = (
        {path.name for path in (tmp_path / name).rglob("*.colorized.*")}
        for name in ("torch", "onnx")
    )
    assert one == other
    assert len(one) >= 8
    record, plain = (
        json.loads((tmp_path / name / "b" / "c.colorized.png.json").read_text())
        for name in ("onnx", "torch")
    )
    assert record["model"]["exported_from"] == load_model(model).digest
    assert record["software"]["onnxruntime"] == onnxruntime.__version__
    assert plain["model"]["exported_from"] is None
    assert "onnxruntime" not in plain["software"]
    assert paint("x", "--model", str(file), "--backend", "onnx", "--device", "cuda") == EXIT_USAGE
    assert paint("x", "--model", str(model), "--backend", "onnx") == EXIT_MODEL
    assert paint("x", "--model", str(tmp_path / "none.onnx"), "--backend", "onnx") == EXIT_MISSING
