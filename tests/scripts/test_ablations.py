"""The grid of ablations: what is trained, and what is trained only once."""

from scripts.ablations import TABLES, grid, mean_dice, scaled


def test_the_threshold_of_the_paper_shares_the_weights_of_the_full_method() -> None:
    rows = {row.name: row for row in grid("threshold", 3500, 500, 5, 9)}
    assert list(rows) == ["-700", "-600", "-500", "-400", "-300"]
    assert abs(rows["-500"].segmenting["tau"] - 1 / 3) < 1e-12
    growing = list(grid("growing", 3500, 500, 5, 9))
    assert {row.trained for row in growing} == {rows["-500"].trained}
    assert len({row.trained for row in rows.values()}) == 5


def test_table_iv_goes_on_from_one_checkpoint_to_the_next() -> None:
    rows = list(grid("iterations", 3500, 500, 2, 9))
    assert sorted({row.iterations for row in rows}) == [1500, 2000, 2500, 3000, 3500]
    assert {row.training["output_dir"] for row in rows} == {"constant"}
    assert [row.members for row in rows[:3]] == [(0,), (1,), (0, 1)]


def test_members_are_the_first_ones_of_one_training() -> None:
    rows = list(grid("members", 100, 50, 5, 3))
    assert [row.members for row in rows] == [(0,), (0, 1), (0, 1, 2)]
    assert len({row.trained for row in rows}) == 1


def test_every_table_has_rows_with_names_of_their_own() -> None:
    for table in TABLES:
        names = [row.name for row in grid(table, 3500, 500, 5, 9)]
        assert names and len(set(names)) == len(names)


def test_a_spec_at_half_resolution_keeps_what_the_ablation_fixes() -> None:
    lengths = {"small_radius": [2, 5], "medium_radius": [5, 16], "fine_sigma": [0.5, 1.0]}
    spec = scaled("fixed_salt_noise", lengths)
    assert spec["medium_radius"] == [5, 16]
    assert tuple(spec["fine_sigma"]) == (2, 2)


def test_the_mean_is_read_from_the_evaluators_table(tmp_path) -> None:  # type: ignore[no-untyped-def]
    scores = tmp_path / "scores.csv"
    scores.write_text("case,DSC\ncovid_0,50.0\nmean,60.5\nsd,3.0\n")
    assert mean_dice(scores) == 60.5
