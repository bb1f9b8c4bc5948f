"""Functions that are traced once: kept on disk beside XLA's code, so that later processes need not trace them again.

Tracing is Python, and took a third of the time between TensorFlow's import and the first step. A kept function is named
after all that is baked into it: the objects that it was traced from, in words, reglab's own source and the types of its
arguments. So it is traced anew when any of these is another. Where something cannot be put into words (a penalty or a
model from outside reglab, say), and where somebody else's code may have changed reglab's in this process, nothing is
kept.

A kept function is called by the same name in every process, the first one included, since XLA's code is found by it.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import pathlib
import sys
import threading
from typing import Any

import tensorflow as tf

from reglab.engine.cache_folder import Entries
from reglab.engine.compile_cache import folder_in_use
from reglab.engine.described import Indescribable, described
from reglab.engine.environment import is_deterministic
from reglab.engine.startup import is_whole_process


def kept(function: Any, *baked: Any) -> Any:
    """`function`, a TensorFlow function of tensors and variables to a flat tuple of tensors; kept on disk if it can be.

    Args:
      baked: everything that its graph depends on, besides its source and its arguments' types.
    """
    folder = folder_in_use()
    if folder is None or not is_whole_process() or tf.config.list_physical_devices("GPU"):
        return function
    try:
        return KeptFunction(function, described(baked), Entries(folder, "function"))
    except Indescribable:
        return function


class KeptFunction:
    """A function that looks for its graph on disk, and is traced if that is not there.

    Args:
      function: see `kept`.
      baked: text that is another where the graph is another.
      entries: where the graphs are.
    """

    def __init__(self, function: Any, baked: str, entries: Entries) -> None:
        self._function, self._baked, self._entries = function, baked, entries

    def __call__(self, *arguments: Any) -> Any:
        """What `function` would return."""
        name = self.get_concrete_function(*arguments)
        results = _results[name]
        if results is None:
            return self._function(*arguments)
        return tuple(_context().call_function(name.encode(), [_tensor(value) for value in tf.nest.flatten(arguments)],
                                              results))

    def get_concrete_function(self, *arguments: Any) -> str:
        """Has the function for arguments of these types ready, read or traced; returns its name."""
        name = f"reglab_{self._key(arguments)}"
        with _lock:
            if name not in _results:
                _results[name] = self._load(name, arguments)
        return name

    def _key(self, arguments: Any) -> str:
        types = tf.nest.map_structure(_type, arguments)
        whole = [self._baked, repr(types), _context().device_name or "", str(is_deterministic()),
                 source_digest()]
        return hashlib.sha256("\n".join(whole).encode()).hexdigest()[:32]

    def _load(self, name: str, arguments: Any) -> int | None:
        """Makes the function known to TensorFlow by its name; returns the number of its results."""
        graph = self._read(name)
        if graph is None:
            graph = self._trace(name, arguments)
        if graph is None:
            return None
        for function in graph.library.function:
            _context().add_function_def(function)
        return len(graph.library.function[0].signature.output_arg)

    def _read(self, name: str) -> Any | None:
        content = self._entries.read(name)
        if content is None:
            return None
        graph = tf.compat.v1.GraphDef()
        graph.ParseFromString(content)  # It is whole: its checksum is right.
        return graph

    def _trace(self, name: str, arguments: Any) -> Any | None:
        """The graph, which is also kept when the process ends; None if the function is not what `kept` asks for."""
        concrete = self._function.get_concrete_function(*arguments)
        results = concrete.structured_outputs
        if concrete.captured_inputs or not (type(results) is tuple and all(map(tf.is_tensor, results))):
            return None
        graph = tf.compat.v1.GraphDef()
        graph.library.function.extend([concrete.function_def, *concrete.graph.as_graph_def().library.function])
        _rename(graph.library.function, name)
        atexit.register(self._entries.write, name, graph.SerializeToString())
        return graph


_results: dict[str, int | None] = {}
"""Name to the number of results, of all functions that this process has ready; None for what cannot be kept."""
_lock = threading.RLock()  # Tracing a function may get another one ready.


@functools.cache
def source_digest() -> str:
    """A digest of reglab's own source, and its versions of Python and TensorFlow."""
    package = pathlib.Path(__file__).parents[1]
    digest = hashlib.sha256(f"{sys.version} {tf.__version__}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)} ".encode() + path.read_bytes())
    return digest.hexdigest()


def _rename(functions: Any, name: str) -> None:
    """Gives the functions of a graph, of which the first calls the others, names that depend on `name` alone."""
    names = {function.signature.name: f"{name}_{k}" if k else name for k, function in enumerate(functions)}
    for function in functions:
        function.signature.name = names[function.signature.name]
        for node in function.node_def:
            node.ClearField("experimental_debug_info")  # Names from before.
            for attribute in node.attr.values():
                for called in (attribute.func, *attribute.list.func):
                    if called.name in names:
                        called.name = names[called.name]


def _type(value: Any) -> str:
    """What tracing sees of an argument."""
    kind = "variable" if isinstance(value, tf.Variable) else "tensor"
    return f"{kind} {tf.as_dtype(value.dtype).name} {list(value.shape)}"


def _tensor(value: Any) -> tf.Tensor:
    return value.handle if isinstance(value, tf.Variable) else tf.convert_to_tensor(value)


def _context() -> Any:
    """TensorFlow's eager context: functions are called by their names nowhere else."""
    from tensorflow.python.eager import context
    return context.context()
