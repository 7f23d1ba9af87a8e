"""The grid of ablations: what is trained, and what is trained only once."""

from generator import SPECS, SynthesisSpec
from scripts.ablations import grid, mean_dice, scaled
from scripts.ablations_page import PAPER_ITERATIONS, TABLES, table_iv


def test_the_threshold_of_the_paper_shares_the_weights_of_the_full_method() -> None:
    rows = {row.name: row for row in grid("threshold", 3500, 500, 5, 9)}
    assert list(rows) == ["-700", "-600", "-500", "-400", "-300"]
    assert abs(rows["-500"].segmenting["tau"] - 1 / 3) < 1e-12
    growing = list(grid("growing", 3500, 500, 5, 9))
    assert {row.trained for row in growing} == {rows["-500"].trained}
    assert len({row.trained for row in rows.values()}) == 5


def test_table_iv_goes_on_from_one_checkpoint_to_the_next() -> None:
    rows = list(grid("iterations", 3500, 500, 2, 9))
    assert sorted({row.iterations for row in rows}) == [2000, 2500, 3000, 3500, 4000, 4500]
    assert {row.training["output_dir"] for row in rows} == {"constant"}
    assert [row.members for row in rows[:3]] == [(0,), (1,), (0, 1)]
    assert {row.training["epoch_iterations"] for row in rows} == {100}


def test_the_paper_table_iv_has_the_vote_first_and_a_value_for_each_iteration() -> None:
    lines = table_iv(PAPER_ITERATIONS, range(2000, 4501, 500)).splitlines()
    assert lines[0] == "| iterations | 2000 | 2500 | 3000 | 3500 | 4000 | 4500 |"
    assert lines[2] == "| vote | 67.6 | 70.2 | 66.9 | 68.7 | 70.4 | 67.4 |"
    assert len(lines) == 8


def test_members_are_the_first_ones_of_one_training() -> None:
    rows = list(grid("members", 100, 50, 5, 3))
    assert [row.members for row in rows] == [(0,), (0, 1), (0, 1, 2)]
    assert len({row.trained for row in rows}) == 1


def test_every_table_has_rows_with_names_of_their_own() -> None:
    for table in TABLES:
        names = [row.name for row in grid(table, 3500, 500, 5, 9)]
        assert names and len(set(names)) == len(names)


def test_at_half_resolution_what_the_ablation_fixes_is_half_as_large_too() -> None:
    lengths = {"small_radius": [2, 5], "medium_radius": [5, 16], "fine_sigma": [0.5, 1.0]}
    noise, shapes = scaled("fixed_salt_noise", lengths), scaled("fixed_shapes", lengths)
    assert noise["medium_radius"] == [5, 16]
    assert noise["fine_sigma"] == [1, 1]
    assert shapes["medium_radius"] == [6, 6]
    assert scaled("wide", lengths)["small_radius"] == [1, 5]


def test_without_other_lengths_a_spec_is_the_named_one() -> None:
    assert SynthesisSpec(**scaled("fixed_shapes", {})) == SPECS["fixed_shapes"]


def test_the_mean_is_read_from_the_evaluators_table(tmp_path) -> None:  # type: ignore[no-untyped-def]
    scores = tmp_path / "scores.csv"
    scores.write_text("case,DSC\ncovid_0,50.0\nmean,60.5\nsd,3.0\n")
    assert mean_dice(scores) == 60.5
