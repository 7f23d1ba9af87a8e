"""One case of each set of a comparison, as in Fig. 5: a row for each of some methods."""

from pathlib import Path

from compare_methods import NORMNET, SHIPPED
from compare_nnunet import NNUNET
from compare_plan import Plan
from figure import figure
from small_picture import shrink

from normnet.studies import find_studies

__all__ = ["draw_cases"]

SHOWN = (NNUNET, "vae", "vae_original", "f_anogan", NORMNET, SHIPPED)
"""Methods with a row, where they have been run."""


def draw_cases(plan: Plan, folder: Path) -> list[str]:
    """Draws the first case of each set, at the thresholds that were chosen without any label.

    Args:
        plan: of the comparison, all of it done.
        folder: gets comparison_<set>.png.

    Returns:
        The pictures' names, in the order of the sets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for of, test in plan.tests.items():
        study = find_studies(test)[0]
        results = [plan.out / of / method / "results" / study["study"] for method in SHOWN]
        shown = [str(path) for path in results if path.is_dir()]
        picture = folder / f"comparison_{of}.png"
        figure(study["image"], study["lesions"], str(picture), *shown)
        shrink(picture, picture)
        names.append(picture.name)
    return names
