"""Traced functions kept on disk beside XLA's code, so that later processes need not trace them again.

Tracing runs Python code, and took a third of the time between TensorFlow's import and the first step. The name of a
kept function is a digest of everything baked into it: a description of the objects it was traced from, reglab's own
source, and the types of its arguments. It is traced anew when any of these changes. Nothing is kept if an object cannot
be described (such as a penalty or a model from outside reglab), or if other code in this process may have modified
reglab.

A kept function is called by the same name in every process, including the first, because XLA's code is found by that
name.
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
    """Returns `function` or, if it can be kept on disk, a `KeptFunction` that does the same.

    Args:
      function: a TensorFlow function from tensors and variables to a flat tuple of tensors.
      baked: everything that its graph depends on, apart from its source and the types of its arguments.
    """
    folder = folder_in_use()
    if folder is None or not is_whole_process() or tf.config.list_physical_devices("GPU"):
        return function
    try:
        return KeptFunction(function, described(baked), Entries(folder, "function"))
    except Indescribable:
        return function


class KeptFunction:
    """A function that looks for its graph on disk, and is traced only if the graph is not there.

    Args:
      function: see `kept`.
      baked: a text that differs whenever the graph differs.
      entries: where the graphs are stored.
    """

    def __init__(self, function: Any, baked: str, entries: Entries) -> None:
        self._function, self._baked, self._entries = function, baked, entries

    def __call__(self, *arguments: Any) -> Any:
        """Returns what `function` would return."""
        name = self.get_concrete_function(*arguments)
        results = _results[name]
        if results is None:
            return self._function(*arguments)
        return tuple(_context().call_function(name.encode(), [_tensor(value) for value in tf.nest.flatten(arguments)],
                                              results))

    def get_concrete_function(self, *arguments: Any) -> str:
        """Prepares the function for arguments of these types, by reading or tracing it; returns its name."""
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
        """Registers the function with TensorFlow under `name`; returns the number of its results, or None."""
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
        graph.ParseFromString(content)  # Cannot fail: the checksum was right.
        return graph

    def _trace(self, name: str, arguments: Any) -> Any | None:
        """Traces the graph, to be stored when the process ends; returns None if it is not what `kept` asks for."""
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
"""Maps the name of every function prepared in this process to the number of its results; None if it cannot be kept."""
_lock = threading.RLock()  # Reentrant: tracing one function may prepare another.


@functools.cache
def source_digest() -> str:
    """A digest of reglab's own source and of the versions of Python and TensorFlow."""
    package = pathlib.Path(__file__).parents[1]
    digest = hashlib.sha256(f"{sys.version} {tf.__version__}".encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)} ".encode() + path.read_bytes())
    return digest.hexdigest()


def _rename(functions: Any, name: str) -> None:
    """Renames the functions of a graph, the first of which calls the others, so that names depend on `name` alone."""
    names = {function.signature.name: f"{name}_{k}" if k else name for k, function in enumerate(functions)}
    for function in functions:
        function.signature.name = names[function.signature.name]
        for node in function.node_def:
            node.ClearField("experimental_debug_info")  # It contains the old names.
            for attribute in node.attr.values():
                for called in (attribute.func, *attribute.list.func):
                    if called.name in names:
                        called.name = names[called.name]


def _type(value: Any) -> str:
    """What tracing depends on in an argument: variable or tensor, dtype and shape."""
    kind = "variable" if isinstance(value, tf.Variable) else "tensor"
    return f"{kind} {tf.as_dtype(value.dtype).name} {list(value.shape)}"


def _tensor(value: Any) -> tf.Tensor:
    return value.handle if isinstance(value, tf.Variable) else tf.convert_to_tensor(value)


def _context() -> Any:
    """TensorFlow's eager context, the only interface that calls functions by name."""
    from tensorflow.python.eager import context
    return context.context()
