"""The page that `compare.py` writes: what was measured, and the paper's own numbers beside it."""

from dataclasses import dataclass

from normnet.evaluation import Row, summarize

__all__ = ["METHODS", "NORMNET", "Comparison", "page"]

NORMNET = "normnet"

METHODS = {
    "ae": "AE",
    "vae": "VAE",
    "vae_spatial": "VAE Spatial",
    "vae_original": "VAE Original",
    "context_vae": "Context VAE",
    "constrained_vae": "Constrained VAE",
    "gmvae": "GMVAE",
    "bayesian_vae": "Bayesian VAE",
    "kl_gradient": "KL Grad",
    "restoration": "VAE Restoration",
    "f_anogan": "f-AnoGAN",
}
"""The compared methods: their config in configs/baselines, and their name in Table III."""

ROWS = {**METHODS, f"{NORMNET}_without_growing": "NormNet without growing", NORMNET: "NormNet"}

PAPER = {
    "ae": (28.3, 21.5, 52.1, 30.3, 24.4, 58.9),
    "vae": (26.4, 19.8, 50.1, 28.1, 21.6, 62.3),
    "vae_spatial": (27.4, 21.0, 49.9, 30.7, 24.8, 59.2),
    "vae_original": (10.9, 6.9, 41.3, 12.3, 8.5, 44.9),
    "context_vae": (29.7, 21.8, 61.0, 32.3, 24.3, 72.2),
    "constrained_vae": (27.9, 21.0, 53.2, 29.2, 22.9, 61.3),
    "gmvae": (25.7, 20.2, 51.0, 28.6, 22.3, 63.3),
    "bayesian_vae": (27.5, 20.8, 50.9, 29.6, 23.5, 58.2),
    "kl_gradient": (9.5, 5.5, 65.5, 10.2, 6.7, 39.1),
    "restoration": (12.8, 16.3, 12.1, 9.1, 16.5, 8.8),
    "f_anogan": (15.4, 10.8, 38.3, 19.7, 14.2, 55.2),
    f"{NORMNET}_without_growing": (65.5, 88.1, 56.2, 54.2, 60.8, 51.3),
    NORMNET: (68.7, 85.1, 62.1, 59.4, 60.4, 61.8),
}
"""Table III of the paper: DSC, PSC, SEN on Coronacases, then on Radiopedia, per cent."""

SCORES = ("DSC", "PSC", "SEN")


@dataclass(frozen=True)
class Comparison:
    """One method's scores.

    Attributes:
        label_free: rows of the evaluator, with the threshold chosen on synthetic lesions (NormNet: its own).
        best: rows with the threshold that is best on the test labels; None where there is none to choose.
        thresholds: both.
        minutes: the training took; None when it is not known.
    """

    label_free: list[Row]
    best: list[Row] | None
    thresholds: tuple[float, float] | None
    minutes: float | None


def page(
    compared: dict[str, Comparison], command: str, iterations: int, members: int, learning_rate: float
) -> str:
    """Writes the comparison as Markdown."""
    cases = len(next(iter(compared.values())).label_free)
    lines = [
        "# NormNet beside the label-free methods of Table III",
        "",
        f"{cases} CTs with true masks, {iterations} iterations for each method ({members} members of NormNet share "
        f"them), learning rate {learning_rate:g} for all. Made by `{command}`.",
        "",
        "Per cent, mean +- sd over the CTs, all scored by `normnet.evaluation`.",
        "",
        "## Threshold chosen without any label",
        "",
        "On synthetic lesions in healthy validation lungs; NormNet has its own fixed thresholds.",
        "",
        *_table(compared, best=False),
        "",
        "## Threshold chosen on the test labels",
        "",
        "The two decimals with the best mean Dice on these very CTs, as the paper did for the compared methods "
        "(IV-C): what they could do at best. NormNet's thresholds stay as they are.",
        "",
        *_table(compared, best=True),
        "",
        "## The paper's own numbers, on the paper's own data",
        "",
        "Table III of arXiv 2009.06456: 453 healthy CTs of LUNA16, thresholds chosen on the test labels. Not "
        "comparable in value with the tables above.",
        "",
        "| method | Coronacases DSC | PSC | SEN | Radiopedia DSC | PSC | SEN |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {label} | {' | '.join(f'{value:.1f}' for value in PAPER[name])} |"
            for name, label in ROWS.items()
        ),
        "",
        "## Where the paper is silent",
        "",
        "Slices of 409.6 mm at 128 x 128 pixels (f-AnoGAN: 358.4 mm at 64 x 64), the networks' layers, positive "
        "residuals and the median filter (5 x 5 x 5; f-AnoGAN 3 x 3 x 3) of the anomaly follow Baur et al., "
        "*Autoencoders for unsupervised anomaly segmentation in brain MR images*, 2021, whose methods the paper "
        "takes up. KL Grad's map has no unit: it is divided by its 99.9th percentile in each CT. Each file of "
        "`normnet/baselines` names its constants and where they come from.",
        "",
    ]
    return "\n".join(lines)


def _table(compared: dict[str, Comparison], *, best: bool) -> list[str]:
    lines = ["| method | DSC | PSC | SEN | threshold | training, minutes |", "|---|---|---|---|---|---|"]
    for name, label in ROWS.items():
        if name not in compared:
            continue
        one = compared[name]
        rows = one.best if best and one.best is not None else one.label_free
        mean, deviation = summarize(rows)
        values = [_number(mean[score], deviation[score]) for score in SCORES]
        threshold = "fixed" if one.thresholds is None else f"{one.thresholds[best]:.2f}"
        spent = "-" if one.minutes is None else f"{one.minutes:.1f}"
        lines.append(f"| {label} | {' | '.join(values)} | {threshold} | {spent} |")
    return lines


def _number(mean: str | float, deviation: str | float) -> str:
    """Lays out mean +- sd; NaN was not measured."""
    parts = [f"{float(value):.1f}" for value in (mean, deviation) if float(value) == float(value)]
    return " +- ".join(parts) or "-"
