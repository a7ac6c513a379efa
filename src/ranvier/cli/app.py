"""The commands, their options and how errors leave the process."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from ranvier import __version__
from ranvier.cli.output import Output, Unwritable
from ranvier.errors import RanvierError

__all__ = ["cli", "run"]

OK, ERROR, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130


def _call(command: str, **options: Any) -> int:
    """Runs `ranvier.cli.<command>.main`; imported here so that --help stays quick."""
    module = importlib.import_module(f"ranvier.cli.{command}")
    return int(module.main(**options) or OK)


def run(argv: list[str]) -> int:
    """Runs the command line and turns what it raises into a text and an exit code."""
    as_json = "--json" in argv
    try:
        return int(cli.main(argv, prog_name="ranvier", standalone_mode=False) or OK)
    except click.exceptions.Exit as fault:
        return fault.exit_code
    except click.UsageError as fault:
        if isinstance(fault, click.exceptions.NoArgsIsHelpError):
            click.echo(fault.format_message(), err=True)
        else:
            fault.show(file=sys.stderr)
        return USAGE
    except click.ClickException as fault:
        fault.show(file=sys.stderr)
        return fault.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except RanvierError as fault:
        Output(as_json=as_json).error(fault)
        return DIVERGED if fault.code in ("RV301", "RV302") else ERROR
    except Unwritable as fault:
        from ranvier.errors import FileError

        Output().error(
            FileError("RV603", "the output cannot be written", details=str(fault))
        )
        return ERROR
    except MemoryError:
        from ranvier.errors import EnvironmentFault

        Output(as_json=as_json).error(
            EnvironmentFault(
                "RV805", "out of memory", fix="--batch-size 32, fewer --layers"
            )
        )
        return ERROR


_json = click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=False,
)
@click.version_option(version=__version__, message="ranvier %(version)s")
def cli() -> None:
    """Trains neural networks on an ordinary CPU.

    \b
    ranvier train fashion-mnist                    trains 784-128-10 on real images
    ranvier train --resume runs/fashion-mnist-0001 --epochs 20
    ranvier predict runs/fashion-mnist-0001/model.keras boot.png
    ranvier run tutorial.py                        runs a Keras program on ranvier
    """


def _layers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    words = [
        word for word in text.replace("-", ",").replace(" ", ",").split(",") if word
    ]
    if words in (["none"], ["0"]):
        return ()
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter(
            f"{text!r} is not a list of unit counts; write 128 or 256,128 or none"
        )
    return tuple(map(int, words))


@cli.command()
@click.argument("dataset", required=False, metavar="[fashion-mnist]")
@click.option(
    "--layers",
    default="128",
    callback=_layers,
    metavar="N[,N…]",
    help="Units of the hidden layers; 'none' for no hidden layer.",
    show_default=True,
)
@click.option(
    "--activation", default="relu", show_default=True, help="Of the hidden layers."
)
@click.option("--optimizer", default="adam", show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The optimizer's own default unless given.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training rows, in all.  [default: 10]",
)
@click.option("--batch-size", default=32, type=click.IntRange(min=1), show_default=True)
@click.option(
    "--validation-split",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the training rows, from the end, kept apart.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1))
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of the native engine; one per core unless given.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of this run.  [default: runs/fashion-mnist-NNNN]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Continues a run from its folder.",
)
@click.option(
    "--sample", is_flag=True, help="Uses the 6,000 images inside the package."
)
@click.option("-q", "--quiet", is_flag=True, help="Only the result.")
@_json
@click.pass_context
def train(ctx: click.Context, **options: Any) -> int:
    """Trains a network, or continues a run.

    \b
    ranvier train fashion-mnist
    ranvier train fashion-mnist --layers 256,128 --epochs 20 --batch-size 64
    ranvier train --resume runs/fashion-mnist-0001 --epochs 20
    """
    dataset, resume = options["dataset"], options["resume"]
    if (dataset is None) == (resume is None):
        raise click.UsageError(
            "Name a data set (ranvier train fashion-mnist) or a run "
            "(ranvier train --resume RUN)."
        )
    if dataset is not None and dataset.replace("_", "-").lower() != "fashion-mnist":
        from ranvier.errors import nearest

        close = nearest(dataset, ["fashion-mnist"])
        raise click.UsageError(
            f"Unknown data set {dataset!r}; "
            + (f"nearest: {close}." if close else "known: fashion-mnist.")
        )
    if resume is not None:
        given = {
            name
            for name in options
            if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        extra = given - {"resume", "epochs", "threads", "quiet", "as_json"}
        if extra:
            words = ", ".join("--" + n.replace("_", "-") for n in sorted(extra))
            raise click.UsageError(
                f"{words}: a resumed run keeps the options it was started with; "
                "only --epochs and --threads may be given."
            )
    _set_threads(options["threads"])
    return _call("train", **options)


def _set_threads(threads: int | None) -> None:
    # Read by the native engine when it is loaded, which is later than this.
    if threads is not None:
        os.environ["RANVIER_THREADS"] = str(threads)


_model = click.argument("model", type=click.Path(path_type=Path), metavar="MODEL")


@cli.command()
@_model
@click.option("--batch-size", default=32, type=click.IntRange(min=1), show_default=True)
@click.option(
    "--sample", is_flag=True, help="On the 1,000 test images inside the package."
)
@_json
def evaluate(**options: Any) -> int:
    """Loss and accuracy of MODEL (a .keras file or a run folder) on the test images."""
    return _call("evaluate", **options)


@cli.command()
@_model
@click.argument(
    "images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE…"
)
@click.option("--resize", is_flag=True, help="Resizes images of another size.")
@click.option("--invert", is_flag=True, help="Dark on light becomes light on dark.")
@click.option(
    "--top",
    default=1,
    type=click.IntRange(min=1),
    show_default=True,
    help="Classes printed for each image.",
)
@_json
def predict(**options: Any) -> int:
    """Class and probability of each IMAGE (PNG, JPEG, …, or a .npy array).

    \b
    ranvier predict runs/fashion-mnist-0001/model.keras boot.png
    """
    return _call("predict", **options)


@cli.command()
@_model
@_json
def summary(**options: Any) -> int:
    """Layers, shapes and parameters of MODEL."""
    return _call("summary", **options)


@cli.command()
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Writes the first test images of Fashion-MNIST as PNG.",
)
@click.option(
    "--rows",
    default=10,
    type=click.IntRange(1, 1000),
    show_default=True,
    help="How many to export.",
)
@_json
def datasets(**options: Any) -> int:
    """The data sets, and where they are on this machine."""
    return _call("datasets", **options)


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_script(script: Path, arguments: tuple[str, ...]) -> int:
    """Runs a Keras program on ranvier: `import keras` and tf.keras mean ranvier."""
    return _call("run", script=script, arguments=arguments)


run_script.name = "run"
cli.commands["run"] = cli.commands.pop("run-script")


@cli.command()
@_json
def doctor(**options: Any) -> int:
    """CPU, instruction set, threads, versions, data: what a bug report needs."""
    return _call("doctor", **options)


@cli.command()
@click.argument("code")
@_json
def explain(code: str, as_json: bool) -> int:
    """What a code such as RV101 means."""
    import textwrap

    from ranvier.errors import explain as text_of

    title, _, text = text_of(code).partition("\n\n")
    output = Output(as_json=as_json)
    if as_json:
        number, _, about = title.partition(": ")
        output.json({"code": number, "title": about, "text": text})
    else:
        output.line(title + "\n\n" + textwrap.fill(text, 88))
    return OK
