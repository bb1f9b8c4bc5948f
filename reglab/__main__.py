"""`python -m reglab`, or `reglab` if it is installed: runs a command by name.

`reglab train --l1=1e-3` is `python -m reglab.train --l1=1e-3`.
"""

from __future__ import annotations

import importlib
from typing import Final, NoReturn

from reglab.cli.commands import run_command, run_process
from reglab.cli.completion import Offers, completion
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.inputs.texts import did_you_mean, shown

COMMANDS: Final = {
    "train": ("reglab.train", "Train one network on cross-entropy plus penalties of its kernels."),
    "compare": ("reglab.compare.__main__", "Compare no penalty, each alone and all together, over several seeds."),
    "sweep": ("reglab.sweep.__main__", "Train a grid or a path of penalties, and choose by the validation data."),
    "evaluate": ("reglab.evaluate.__main__", "Look at a trained network with the test part of its data, or new data."),
    "predict": ("reglab.predict.__main__", "Write classes and probabilities of inputs by a trained network."),
    "export": ("reglab.export.__main__", "Write the network of a run for Keras, TensorFlow, NumPy, ONNX or TFLite."),
    "runs": ("reglab.runs.__main__", "List the runs, comparisons and sweeps in a folder, with state, best and size."),
    "report": ("reglab.report.__main__", "Tell what runs, comparisons and sweeps found, with a page to look at."),
    "certify": ("reglab.certify.__main__", "Check that replicas compute what one device does, or that a run repeats."),
    "convert": ("reglab.convert.__main__", "Say what a strength of one library is in others, and what each assumes."),
    "reproduce": ("reglab.reproduce.__main__", "Train a published result anew, and say whether it holds."),
    "benchmark": ("reglab.benchmark.__main__", "Measure how fast this machine trains, and what the penalties cost."),
    "launch": ("reglab.launch.__main__", "Start a cluster of workers on this machine, to try one out."),
}
"""Maps each name to a module with a `main`, and its purpose in a line. Only the requested module is imported."""
_FLAGS: Final = ("--help", "--version", "--completion")


def main(argv: list[str]) -> int:
    """Runs the command named first, or lists the commands, and returns the exit code (see `exit_codes`)."""
    if argv and argv[0] in COMMANDS:
        module, _ = COMMANDS[argv[0]]
        return importlib.import_module(module).main(argv[1:])
    return run_command(_answer, argv)


def _answer(argv: list[str]) -> int:
    if argv and argv[0].startswith("--completion"):
        print(completion(argv[0].partition("=")[2], {name: (purpose, _offers(module))
                                                     for name, (module, purpose) in COMMANDS.items()}), end="")
        return exit_codes.SUCCESS
    if argv and argv[0] not in ("--help", "-help", "-h"):
        known = _FLAGS if argv[0].startswith("-") else COMMANDS
        raise ConfigError(f"there is no command '{shown(argv[0], 60)}'{did_you_mean(argv[0], known) or ';'} "
                          "python -m reglab lists the commands")
    print("usage: python -m reglab COMMAND [--flag=value ...], or reglab COMMAND ...\n")
    for name, (_, purpose) in COMMANDS.items():
        print(f"  {name:<12}{purpose}")
    print("\nEach is also python -m reglab.COMMAND; COMMAND --help tells its flags, --version the version of reglab.\n"
          "Completion: source <(reglab --completion=bash), or =zsh.")
    return exit_codes.SUCCESS


def _offers(module: str) -> Offers:
    """Returns what a command offers a shell to complete."""
    imported = importlib.import_module(module)
    return imported.OFFERS if hasattr(imported, "OFFERS") else imported.main.__self__.offers


def run() -> NoReturn:
    """Runs the console script `reglab`."""
    run_process(main)


if __name__ == "__main__":
    run()
