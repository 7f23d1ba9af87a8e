"""Studies one after the other: what is wrong with one names it, and the others are done."""

from collections.abc import Callable

import pytest
import torch
from monai.data import Dataset
from monai.engines import SupervisedEvaluator

from normnet.errors import InputError
from normnet.segmentation import segment_studies


def segment(fault: Callable[[str], Exception]) -> None:
    """Runs a network that changes nothing over two studies, of which the first one raises."""

    def read(item: dict[str, str]) -> dict[str, object]:
        if item["study"] == "first_scan":
            raise fault(item["image"])
        return {**item, "image": torch.zeros(1, 2, 2, 2)}

    studies = [
        {"image": f"/cts/{name}.nii.gz", "study": name.replace(" ", "_")} for name in ("first scan", "b")
    ]
    dataset = Dataset(studies, transform=read)
    evaluator = SupervisedEvaluator(torch.device("cpu"), [], network=torch.nn.Identity())
    with pytest.raises(InputError, match=r"^1 of 2 studies failed: first_scan\.$"):
        segment_studies(evaluator, dataset)


def test_a_sentence_that_names_no_file_names_the_study(capsys: pytest.CaptureFixture[str]) -> None:
    segment(lambda image: InputError("expected lungs that are not all darker than the window."))
    assert (
        "error: first_scan: expected lungs that are not all darker than the window."
        in capsys.readouterr().out
    )


def test_a_sentence_that_names_the_file_stays_as_it_is_and_stands_alone(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    segment(lambda image: InputError(f"{image}: expected a chest CT."))
    assert "error: /cts/first scan.nii.gz: expected a chest CT." in capsys.readouterr().out
    assert not caplog.records


def test_any_other_error_names_the_study(caplog: pytest.LogCaptureFixture) -> None:
    segment(lambda image: ZeroDivisionError("by zero"))
    assert "first_scan failed." in caplog.text
