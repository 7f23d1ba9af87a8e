"""The page that sets the networks side by side."""

from typing import Any

from real_ct import DISEASED, HEALTHY

from scripts.compare_networks import page

TRAINED: dict[str, Any] = {
    "architecture": "unet",
    "parameters": 490_000,
    "seconds": 0.971,
    "iterations": 247,
    "val_healthy_dice": 0.7204,
    "val_lesion_kept_out": 0.974,
    "val_healthy_lost": 0.1849,
}
REAL = {DISEASED[0]: 0.867, DISEASED[1]: 0.7812, HEALTHY: 0.004}


def rows_of(text: str) -> list[list[str]]:
    """The cells of each row of the page's table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_network_has_a_row_with_its_cost_and_its_scores() -> None:
    headings, _, row = rows_of(page([TRAINED], 4, with_real=False))
    assert row == ["`unet`", "0.49 M", "0.97", "247", "72.0 %", "97.4 %", "18.5 %"]
    assert len(headings) == len(row)


def test_real_cases_come_beside_the_validation() -> None:
    text = page([{**TRAINED, **REAL}], 4, with_real=True)
    headings, _, row = rows_of(text)
    assert headings[-3:] == ["slice AUC covid_p001", "slice AUC cap001", "normal001 called lesion"]
    assert row[-3:] == ["0.867", "0.781", "0.00 %"]
    assert "--ct_dir CT_DIR --minutes 4" in text
