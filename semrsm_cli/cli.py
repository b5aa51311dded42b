"""The `_semrsm` command: one subcommand per task.

Typer owns the flags and the help, Hydra owns the `key=value` overrides.
"""

import atexit
import math
import os
import shlex
import signal
import time
from typing import Annotated, Any, Literal

try:
    import typer
    from typer.core import TyperCommand

    from semrsm_cli import __version__
    from semrsm_cli.errors import SemrsmError
except KeyboardInterrupt:
    raise SystemExit(130) from None  # as below

__all__ = ["TASKS", "app", "main"]

_INTERRUPTED = 130
_TYPED = "semrsm.typed"  # the words after a subcommand, which help and completion look at
_TIDYING_UP = 5.0  # seconds that it may take

TASKS = {
    "translate": "Show how RSMs react when the same content stands elsewhere (Figures 2 and 7).",
    "retrieve": "Find the most similar images, and score what they show (Tables 2 and 3).",
    "correlate": "Tell whether similar representations mean similar predictions (Tables 1 and 4).",
    "cka": "Compare the layers of networks by CKA of both kinds of RSM (Figures 15 to 17).",
    "train": "Train a ResNet for small images, for `semrsm cka` and every other task (Appendix G).",
    "rsm": "Write the RSM of a model's layers, or of arrays of your own.",
    "report": "Join the runs of a sweep into the paper's tables, its numbers beside ours (Tables 1 to 5).",
    "bench": "Time matching methods and what they reach (Table 5, Figures 5 and 6).",
    "extract": "Fill the store with the representations of a model's layers.",
    "data": "List the data sets and weights of the paper, fetch them, or check that they are whole.",
    "store": "List what the store holds, check it, or clear it.",
}


def _complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """What a shell offers for a KEY=VALUE; to bash, which cuts words at `=`, only what comes after the last cut."""
    from semrsm_cli.completion import complete, join_words

    words, whole = ctx.meta.get(_TYPED, []), incomplete
    if "COMP_WORDS" in os.environ:  # bash
        *before, last = shlex.split(os.environ["COMP_WORDS"].replace("\n", " "))[: int(os.environ["COMP_CWORD"]) + 1]
        words, whole = join_words(before, last)
    typed = len(whole) - len(incomplete)
    return [(word[typed:], meaning) for word, meaning in complete(str(ctx.info_name), words, whole)]


_Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings (seed=3) and config groups (model=resnet18).",
        autocompletion=_complete,
    ),
]
_Multirun = Annotated[bool, typer.Option("--multirun", "-m", help="Sweep over values such as seed=1,2,3.")]
_Show = Annotated[
    Literal["job", "hydra", "all"] | None, typer.Option("--cfg", "-c", help="Print the composed config and stop.")
]
_ConfigDir = Annotated[str | None, typer.Option("--config-dir", help="Folder with config groups of your own.")]


class _TaskCommand(TyperCommand):
    """A subcommand whose --help also lists the config groups, and the settings of those that are chosen beside it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the command line, which --help ends before it is read."""
        ctx.meta[_TYPED] = [*args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write Typer's help, then the settings."""
        from semrsm_cli.composition import compose
        from semrsm_cli.config_help import settings_help

        try:
            text = settings_help(*compose(str(self.name), ctx.meta.get(_TYPED, [])))
        except SemrsmError as error:
            typer.echo(f"semrsm {self.name}: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        super().format_help(ctx, formatter)
        typer.echo(text)


app = typer.Typer(name="semrsm", no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"semrsm {__version__}")
        raise typer.Exit


@app.callback()
def _semrsm(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """How similar are two images, layers or networks? Semantic RSMs, free of spatial alignment."""


def _add_task(name: str, summary: str) -> None:
    """Register `semrsm NAME`, which runs `semrsm_cli.tasks.NAME`."""

    @app.command(name, help=summary, cls=_TaskCommand)
    def command(
        overrides: _Overrides = None, multirun: _Multirun = False, cfg: _Show = None, config_dir: _ConfigDir = None
    ) -> None:
        if cfg and multirun:
            raise typer.BadParameter("--cfg and --multirun exclude each other")
        flags = ["--multirun"] if multirun else []
        flags += [f"--cfg={cfg}"] if cfg else []
        flags += [f"--config-dir={config_dir}"] if config_dir else []
        try:
            from semrsm_cli.launch import launch  # Hydra and torch load only when a task runs

            launch(name, [*flags, *(overrides or [])])
        except SemrsmError as error:
            typer.echo(f"semrsm {name}: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo(f"semrsm {name}: interrupted; run it again to go on from what is in the store", err=True)
            raise typer.Exit(_INTERRUPTED) from None


for name, summary in TASKS.items():
    _add_task(name, summary)


def main() -> None:
    """Run the command line; Ctrl-C ends it with 130, however often and at whatever moment."""
    interrupt = _Interrupt()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as `&` wants
        signal.signal(signal.SIGINT, interrupt)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Python's last steps would die of one more
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    finally:
        interrupt.end_of_run()


class _Interrupt:
    """Ctrl-C: the first one ends the run, those that come while it tidies up are ignored, later ones end it at once."""

    def __init__(self) -> None:
        self._first = 0.0

    def __call__(self, *_: object) -> None:
        """Handle the signal."""
        now = time.monotonic()
        if not self._first:
            self._first = now
            raise KeyboardInterrupt
        if now - self._first > _TIDYING_UP:
            os._exit(_INTERRUPTED)

    def end_of_run(self) -> None:
        """From now on there is nothing to tidy up."""
        self._first = self._first or -math.inf
