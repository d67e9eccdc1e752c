"""Export of a trained network for use without cnnviz: state dict, exported program, ONNX, PyTorch source."""

from cnnviz.inference.export.formats import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
