"""The formats that a network can be exported to, by name: what their files are called and what they need.

No TensorFlow here; how they are written is in `formats`.
"""

from __future__ import annotations

import importlib.util
import pathlib
from typing import Final, NamedTuple

from reglab.config import ConfigError
from reglab.config.checks import one_of


class Kind(NamedTuple):
    """A format.

    Attributes:
      title: its name, for people.
      suffix: how its files' names end; empty for a folder.
      usage: a line of Python that reads it, with {path} for the path.
      packages: the packages that it needs besides reglab's own.
      extra: the extra of reglab that installs them.
    """

    title: str
    suffix: str
    usage: str
    packages: tuple[str, ...] = ()
    extra: str = ""


KINDS: Final = {
    "keras": Kind("Keras model", ".keras", 'keras.models.load_model("{path}")'),
    "savedmodel": Kind("SavedModel", "", 'model = tf.saved_model.load("{path}"); model.serve(x)'),
    "npz": Kind("NumPy arrays", ".npz", 'np.load("{path}")["logits/kernel"]'),
    "onnx": Kind("ONNX model", ".onnx", 'onnxruntime.InferenceSession("{path}").run(None, {{"x": x}})',
                 ("onnx", "onnxruntime"), "onnx"),
    "tflite": Kind("TensorFlow Lite model", ".tflite",
                   'ai_edge_litert.interpreter.Interpreter("{path}").get_signature_runner()(x=x)'),
}
_OTHERS: Final = frozenset({".h5", ".hdf5", ".pb", ".pt", ".json", ".npy", ".zip"})


def default_name(name: str | None) -> str:
    """Returns the name of an export's file or folder in that of the run, where none is given."""
    return f"model{KINDS[name or 'keras'].suffix}" if name != "savedmodel" else "saved_model"


def chosen(name: str | None, output: pathlib.Path) -> str:
    """Returns the name of the format: the one given or, without one, that of the output's ending.

    Raises:
      ConfigError: there is no such format, or the output's name is of another.
    """
    if name is not None:
        one_of(*KINDS)("format", name)
    told = next((each for each, kind in KINDS.items() if kind.suffix and output.suffix == kind.suffix), None)
    if output.suffix in _OTHERS:
        endings = ", ".join(kind.suffix for kind in KINDS.values() if kind.suffix)
        raise ConfigError(f"--output={output}: reglab writes {endings} files, and SavedModel folders of any other "
                          "name")
    if name is None:
        return told or "savedmodel"
    if told not in (None, name) or (name == "keras" and told is None):  # Keras reads no other name.
        right = KINDS[name].suffix
        raise ConfigError(f"--format={name}: --output={output} is no name for it: " + (
            f"let it end in {right}" if right else "leave out the ending, since it is a folder"))
    return name


def check_packages(name: str) -> None:
    """Checks that the packages of a format are installed; none is imported.

    Raises:
      ConfigError: one is missing.
    """
    kind = KINDS[name]
    missing = [package for package in kind.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"--format={name} needs {' and '.join(missing)}: pip install 'reglab[{kind.extra}]'")
