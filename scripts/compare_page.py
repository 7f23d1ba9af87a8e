"""The page that `compare.py` writes: what was measured, and the paper's own numbers beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compare_methods import METHODS, NORMNET, PAPER, ROWS, SHIPPED, WITHOUT_GROWING
from compare_nnunet import NNUNET, UNSEEN
from markdown_table import table

from normnet.evaluation import Row, summarize

__all__ = ["Budget", "Comparison", "Scores", "page"]

SCORES = ("DSC", "PSC", "SEN")

RIM = (
    "NormNet's rows have one thing that the others have not: the rim that its lesions get at the pleura "
    "(`rim_mm` 3), which brings two points of DSC on the generated chests ([networks.md](networks.md))."
)
PAPER_BUDGET = (
    "Table III of arXiv 2009.06456, 453 healthy CTs of LUNA16. The compared methods: 6000 iterations, thresholds "
    "chosen on the test labels of each set. NormNet: 5 members of 3500 iterations each, one set of values for both "
    "sets (IV-B3). nnU-Net is supervised and has no such threshold. Not comparable in value with the tables above."
)
PAPER_RULE = (
    "NormNet's rows but those of the shipped weights are by `paper_rule.json`, without a rim at the pleura."
)


@dataclass(frozen=True)
class Scores:
    """One method's scores on one set.

    Attributes:
        label_free: rows of the evaluator, with the threshold chosen on synthetic lesions, or without any to choose.
        best: rows with the threshold that is best on the set's own labels; None where there is none to choose.
        thresholds: both.
    """

    label_free: list[Row]
    best: list[Row] | None = None
    thresholds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """One method.

    Attributes:
        sets: its scores by the set's name.
        minutes: of one processor core, that the training took; None when it is not known.
    """

    sets: Mapping[str, Scores]
    minutes: float | None


@dataclass(frozen=True)
class Budget:
    """What every method got; fields as in `compare.compare`."""

    iterations: int
    members: int
    member_iterations: int
    configs: str
    learning_rate: float
    restoration_renewal: int
    nnunet_small: bool
    lungs_backend: str


def page(
    compared: Mapping[str, Comparison],
    cases: Mapping[str, int],
    budget: Budget,
    about: str,
    command: str,
    pictures: Sequence[str] = (),
) -> str:
    """Writes the comparison as Markdown.

    Args:
        compared: by method.
        cases: CTs of each set.
        budget: of each method.
        about: the data.
        command: that has made the page.
        pictures: their names, in pictures/ beside the page.
    """
    tables = {best: _table(compared, list(cases), best=best) for best in (False, True)}
    lines = [
        "# NormNet beside the methods of Table III",
        "",
        "Measured, however it turned out. Research use, not a medical device. This page is made by",
        "",
        f"    {command}",
        "",
        *([about, ""] if about else []),
        "## Budget",
        "",
        _budget(budget),
        "",
        "## Threshold chosen without any label",
        "",
        "Of the compared methods, on synthetic lesions in healthy validation lungs; one for all sets. Mean +- sd over "
        f"the CTs ({', '.join(f'{name}: {count}' for name, count in cases.items())}), per cent, all scored by "
        "`normnet.evaluation`. Minutes of one processor core, of the training; nnU-Net's are those of all folds of all "
        "sets, with preparation and masks.",
        "",
        tables[False],
        "",
        *_summary(compared, list(cases), best=False),
        "",
        "## Threshold chosen on the test labels",
        "",
        "The two decimals with the best mean Dice on these very CTs, as the paper did for the compared methods "
        "(IV-C): what they could do at best. NormNet and nnU-Net have no such threshold.",
        "",
        tables[True],
        "",
        *_summary(compared, list(cases), best=True),
        "",
        *_shown(pictures),
        "## The paper's own numbers, on the paper's own data",
        "",
        PAPER_BUDGET,
        "",
        table(
            ("method", "Coronacases DSC", "PSC", "SEN", "Radiopedia DSC", "PSC", "SEN"),
            [(ROWS[name], *(f"{value:.1f}" for value in values)) for name, values in PAPER.items()],
        ),
        "",
        "## Where the paper is silent",
        "",
        "Slices of 409.6 mm at 128 x 128 pixels (f-AnoGAN: 358.4 mm at 64 x 64), the networks' layers, positive "
        "residuals and the median filter (5 x 5 x 5; f-AnoGAN 3 x 3 x 3) of the anomaly follow Baur et al., "
        "*Autoencoders for unsupervised anomaly segmentation in brain MR images*, 2021, whose methods the paper "
        "takes up. KL Grad's map has no unit: it is divided by its 99.9th percentile in each CT. Bright lung is "
        "not in the paper: the slice itself, through the same median filter and threshold, as if a network had "
        "rebuilt nothing. Each file of `normnet/baselines` names its constants and where they come from.",
        "",
    ]
    return "\n".join(lines)


def _shown(pictures: Sequence[str]) -> list[str]:
    if not pictures:
        return []
    lines = [
        "## The first case of each set",
        "",
        "The slice with most true lesion, at the thresholds chosen without any label. True positive green, false "
        "negative blue, false positive red (Fig. 5). `scripts/figure.py` draws any other case.",
        "",
    ]
    for name in pictures:
        lines += [f"![{name.removesuffix('.png')}](pictures/{name})", ""]
    return lines


def _budget(budget: Budget) -> str:
    size = " (a small 2D plan, 1.3 M weights)" if budget.nnunet_small else ""
    renewal = budget.restoration_renewal
    asked = "every step" if renewal == 1 else f"each {renewal} steps"
    files = " and ".join(f"`{name}.json`" for name in budget.configs.split(","))
    by_paper = "paper" in budget.configs.split(",")
    shared = budget.member_iterations == max(1, budget.iterations // budget.members)
    return (
        f"{budget.iterations} iterations for each method{'' if shared else ' but NormNet'}: the compared ones with "
        f"batches of 16 slices and learning rate {budget.learning_rate:g}; NormNet's {budget.members} members "
        f"{budget.member_iterations} each, by {files}; each of nnU-Net's folds {budget.iterations}{size}, with labels. "
        f"KL Grad and VAE Restoration use the weights of VAE; the restoration asks the network at {asked}. "
        f"Lungs of the backend `{budget.lungs_backend}`, found once for "
        "each CT: all methods see the same ones and nothing else, but VAE Original, which sees the raw CT. "
        f"{PAPER_RULE if by_paper else RIM}"
    )


def _table(compared: Mapping[str, Comparison], sets: list[str], *, best: bool) -> str:
    columns = [
        f"{score}, {name}" if not index else score for name in sets for index, score in enumerate(SCORES)
    ]
    thresholds = [f"threshold, {name}" for name in sets] if best else ["threshold"]
    rows = []
    for name, label in ROWS.items():
        if name not in compared:
            continue
        one = compared[name]
        values, chosen = [], []
        for of in sets:
            mean, deviation = summarize(_rows(one.sets[of], best=best))
            values += [_number(mean[score], deviation[score]) for score in SCORES]
            pair = one.sets[of].thresholds
            chosen.append("-" if pair is None else f"{pair[best]:.2f}")
        spent = "-" if one.minutes is None else f"{one.minutes:.1f}"
        rows.append([label, *values, *chosen[: len(thresholds)], spent])
    return table(["method", *columns, *thresholds, "minutes"], rows)


def _summary(compared: Mapping[str, Comparison], sets: list[str], *, best: bool) -> list[str]:
    """Says which rows without lesion labels beat NormNet, and which networks beat bright lung."""
    lines = []
    for of in sets:
        dice = {
            name: float(summarize(_rows(one.sets[of], best=best))[0]["DSC"])
            for name, one in compared.items()
            if name not in (NNUNET, UNSEEN)
        }
        line = f"- {of}: above NormNet ({dice[NORMNET]:.1f}) in mean DSC: {_above(dice, NORMNET)}."
        if SHIPPED in dice:
            line += f" Above the shipped weights ({dice[SHIPPED]:.1f}): {_above(dice, SHIPPED)}."
        if "bright_lung" in dice:
            others = [name for name in METHODS if name in dice and name != "bright_lung"]
            better = [ROWS[name] for name in others if dice[name] > dice["bright_lung"]]
            line += f" Above bright lung ({dice['bright_lung']:.1f}): {', '.join(better) or 'none'} of the networks."
        lines.append(line)
    return lines


def _above(dice: Mapping[str, float], name: str) -> str:
    better = [ROWS[other] for other in (*METHODS, WITHOUT_GROWING) if dice.get(other, 0.0) > dice[name]]
    return ", ".join(better) or "none"


def _rows(scores: Scores, *, best: bool) -> list[Row]:
    return scores.best if best and scores.best is not None else scores.label_free


def _number(mean: str | float, deviation: str | float) -> str:
    """Lays out mean +- sd; NaN was not measured."""
    parts = [f"{float(value):.1f}" for value in (mean, deviation) if float(value) == float(value)]
    return " +- ".join(parts) or "-"
