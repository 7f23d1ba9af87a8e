"""Which scan comes next."""

import time
from pathlib import Path

from monailabel_app.lib.scoring import SCORE, SCORED_BY
from monailabel_app.lib.strategies import RESERVED_S, AtRandom, choose
from monailabel_app.lib.studies import LocalStudies
from tests.normnet.ct_files import phantom, write_nifti

NOW = 1_000_000.0
NEVER = {"low": 0.0, "high": 0.0, "stale": 0.0, "none": 0.0}
INFOS = {
    "low": {SCORE: 0.1, SCORED_BY: "new"},
    "high": {SCORE: 0.4, SCORED_BY: "new"},
    "stale": {SCORE: 0.9, SCORED_BY: "old"},
    "none": {},
}


def test_the_highest_fresh_score_comes_first() -> None:
    assert choose(INFOS, NEVER, "new", NOW) == "high"


def test_scores_of_other_weights_are_stale() -> None:
    assert choose(INFOS, NEVER, "old", NOW) == "stale"


def test_a_scan_that_was_handed_out_is_not_handed_to_the_next_annotator() -> None:
    served = {**NEVER, "high": NOW - RESERVED_S + 1}
    assert choose(INFOS, served, "new", NOW) == "low"
    assert choose(INFOS, {**NEVER, "high": NOW - RESERVED_S}, "new", NOW) == "high"


def test_stale_scores_come_before_none() -> None:
    served = {**NEVER, "high": NOW, "low": NOW}
    assert choose(INFOS, served, "new", NOW) == "stale"


def test_without_scores_every_scan_has_its_turn() -> None:
    infos: dict[str, dict[str, object]] = {name: {} for name in ("a", "b", "c")}
    drawn = {choose(infos, dict.fromkeys(infos, 0.0), "new", NOW) for _ in range(100)}
    assert drawn == {"a", "b", "c"}


def test_when_all_were_handed_out_the_oldest_comes_again() -> None:
    served = {"low": NOW - 3, "high": NOW - 2, "stale": NOW - 9, "none": NOW - 1}
    assert choose(INFOS, served, "new", NOW) == "stale"


def test_nothing_is_left() -> None:
    assert choose({}, {}, "new", NOW) is None


def test_a_scan_handed_out_within_this_second_is_still_drawn_where_none_else_is_left(tmp_path: Path) -> None:
    write_nifti(tmp_path / "only.nii.gz", phantom())
    studies = LocalStudies(str(tmp_path))
    studies.update_image_info("only", {"strategy": {"random": {"ts": int(time.time())}}})
    drawn = AtRandom()({"strategy": "random"}, studies)
    assert drawn is not None and drawn["id"] == "only"
