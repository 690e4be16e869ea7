"""The command line: ``kanx fit``, ``predict``, ``formula`` and ``export``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import kanx

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Complain in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, 2 for bad input (with one line on stderr), 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nkanx: interrupted, nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader has gone (kanx predict ... | head); keep the interpreter's exit silent too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, MemoryError) as error:
        if arguments.traceback:
            traceback.print_exc()
        print(
            f"kanx {arguments.command}: {' '.join(str(error).split()) or 'out of memory'}",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kanx", description=kanx.__doc__.splitlines()[0] if kanx.__doc__ else "")
    parser.add_argument("--version", action="version", version=f"kanx {kanx.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_predict(commands)
    _add_formula(commands)
    _add_export(commands)
    return parser


def _add_fit(commands: argparse._SubParsersAction[_Parser]) -> None:
    add = _command(commands, "fit", "fit a table; write the model, its formula and a report", _fit)
    add(
        "file",
        metavar="FILE",
        help="a CSV file, or builtin:breast_cancer, diabetes, digits, iris or wine",
    )
    add("--target", metavar="COLUMN", help="name or number (from 0) of the column to predict")
    add("--out", metavar="DIR", required=True, help="folder to write to; made where absent")
    add(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="what the target is (default: told from its values)",
    )
    add("--edge", default="gp", metavar="NAME", help="family of the curves (default: gp)")
    add(
        "--hidden",
        default="auto",
        metavar="WIDTHS",
        help="auto, additive, widths such as 5 or 3,3, or kst:7 (default: auto)",
    )
    add("--seed", type=int, default=0, help="seed of the split and of the fit (default: 0)")
    add(
        "--categorical",
        type=_names,
        default=[],
        metavar="A,B",
        help="columns of categories that look like numbers",
    )
    add("--drop", type=_names, default=[], metavar="A,B", help="columns to leave out")
    add(
        "--refit",
        action="store_true",
        help="after scoring, fit the model that is written on all rows",
    )
    _add_header(add)


def _add_predict(commands: argparse._SubParsersAction[_Parser]) -> None:
    add = _command(commands, "predict", "predict the rows of a CSV or Parquet file", _predict)
    add("model", metavar="MODEL", help="a file that kanx fit or kanx.save wrote")
    add("file", metavar="FILE", help="a CSV file, or NAME.parquet, with the model's columns")
    add("--out", metavar="FILE", help="file to write (default: the terminal)")
    add(
        "--drop",
        type=_names,
        default=[],
        metavar="A,B",
        help="columns to leave out, such as the target",
    )
    _add_header(add)


def _add_formula(commands: argparse._SubParsersAction[_Parser]) -> None:
    add = _command(commands, "formula", "print what a model computes", _formula)
    add("model", metavar="MODEL", help="a file that kanx fit or kanx.save wrote")
    add("--latex", action="store_true", help="in LaTeX")


def _add_export(commands: argparse._SubParsersAction[_Parser]) -> None:
    add = _command(commands, "export", "write a model for another system", _export)
    add("model", metavar="MODEL", help="a file that kanx fit or kanx.save wrote")
    add(
        "--to",
        required=True,
        choices=("c", "javascript", "numpy", "onnx", "sql", "torch"),
        help="what to write; numpy is a Python module without other needs",
    )
    add("--out", metavar="FILE", help="file to write (default: model, with the usual ending)")
    add("--table", default="data", metavar="NAME", help="table that the SQL reads (default: data)")


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    what: str,
    run: Callable[[argparse.Namespace], None],
) -> Callable[..., argparse.Action]:
    parser = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.set_defaults(run=run)
    parser.add_argument("--traceback", action="store_true", help="show where an error arose")
    return parser.add_argument


def _add_header(add: Callable[..., argparse.Action]) -> None:
    add(
        "--header",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the first row holds names (default: told from the rows)",
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


# torch takes seconds to import: a command's module is loaded when it runs, not for --help


def _fit(arguments: argparse.Namespace) -> None:
    from kanx.commands import fit

    fit.run(arguments)


def _predict(arguments: argparse.Namespace) -> None:
    from kanx.commands import predict

    predict.run(arguments)


def _formula(arguments: argparse.Namespace) -> None:
    from kanx.commands import formula

    formula.run(arguments)


def _export(arguments: argparse.Namespace) -> None:
    from kanx.commands import export

    export.run(arguments)
