"""`stereodiffusion study`: the paper's user study, from pairs to a page and from answers to Fig. 6."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.lists import split
from stereodiffusion.cli.saying import say, say_path

if TYPE_CHECKING:
    from stereodiffusion.study import Comparison, MethodScore
    from stereodiffusion.study.answers import Question

app = typer.Typer(
    no_args_is_help=True,
    help="What people think of pairs: the paper's user study (Sec. 4.2, Fig. 6). docs/study.md tells how.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.command("make")
def make(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            show_default=False,
            help="A folder with a folder for each method, in which pairs of the same names lie side by side; or one of "
            "`bench run`.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the page goes, a new or empty folder.")
    ] = Path("study"),
    methods: Annotated[
        list[str],
        typer.Option(metavar="NAMES", show_default="all", help="Which methods; repeat it, or list with commas."),
    ] = [],  # noqa: B006 - typer's way to say the default of a list
    board: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Which results of `bench run`, where there are several."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Make the page on which people score pairs, for a phone in a Cardboard viewer."""
    del debug

    from stereodiffusion.study import gather, write_study

    exhibits = gather(results, methods=split(methods), board=board)
    page = write_study(exhibits, output)
    scenes, made_by = ({getattr(each, name) for each in exhibits} for name in ("scene", "method"))
    say(f"{page}: {len(exhibits)} pairs, {len(scenes)} of each of {len(made_by)} methods")


@app.command("figure")
def figure(
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", show_default=False, help="The CSV files of the persons.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The figure, PNG.")] = Path(
        "figure6.png"
    ),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the bootstrap.")] = 0,
    debug: options.Debug = False,
) -> None:
    """Draw the paper's Fig. 6 from answers, and print the numbers."""
    del debug

    from stereodiffusion.study import compare_methods, draw_scores, read_answers, score_methods
    from stereodiffusion.study.answers import QUESTIONS

    given = read_answers(answers)
    scores: dict[Question, list[MethodScore]] = {
        question: score_methods(given, question, seed=seed) for question in QUESTIONS
    }
    comparisons = {question: compare_methods(given, question, seed=seed) for question in QUESTIONS}
    path = draw_scores(scores, output)
    typer.echo(f"{len({answer.person for answer in given})} persons, {len(given)} answers")
    for question, title in QUESTIONS.items():
        typer.echo(f"\n{title}\n")
        say(_table(scores[question], comparisons[question]))
    say("")
    say_path(path)


def _table(scores: "Sequence[MethodScore]", comparisons: "Sequence[Comparison]") -> str:
    """Means, and below them what is paired, in Markdown."""
    rows = ["| method | answers | mean | 95 % |", "|---|---|---|---|"]
    for each in scores:
        low, high = each.interval
        rows.append(f"| {each.method} | {sum(each.counts)} | {each.mean:.2f} | {low:.2f} to {high:.2f} |")
    rows += [
        "",
        "| paired by person | persons | difference | 95 % | W+ | p | p (Holm) |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in comparisons:
        low, high = each.interval
        rows.append(
            f"| {each.first} - {each.second} | {each.persons} | {each.difference:+.2f} | {low:+.2f} to {high:+.2f} "
            f"| {each.statistic:g} | {each.p:.4g} | {each.p_adjusted:.4g} |"
        )
    return "\n".join(rows)
