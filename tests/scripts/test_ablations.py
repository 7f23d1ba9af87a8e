"""The grid of ablations: what is trained, what is trained only once, and what reaches training and inference."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from generator import SPECS, SynthesisSpec
from normnet import bundle_root
from normnet.checkpoints import save_weights
from normnet.errors import InputError
from normnet.network import member_network
from scripts import ablations as script
from scripts.ablations import ablations, mean_dice, scaled
from scripts.ablations_grid import Setting
from scripts.ablations_grid import grid as grid_of
from scripts.ablations_page import PAPER_ITERATIONS, TABLES, table_iv, write


def grid(table: str, iterations: int, step: int, members: int, most: int) -> list[Setting]:
    return list(grid_of(table, iterations, step, members, most, "wide"))


def test_the_threshold_of_the_paper_shares_the_weights_of_the_full_method() -> None:
    rows = {row.name: row for row in grid("threshold", 3500, 500, 5, 9)}
    assert list(rows) == ["-700", "-600", "-500", "-400", "-300"]
    assert abs(rows["-500"].segmenting["tau"] - 1 / 3) < 1e-12
    growing = grid("growing", 3500, 500, 5, 9)
    assert {row.trained for row in growing} == {rows["-500"].trained}
    assert len({row.trained for row in rows.values()}) == 5


def test_table_iv_goes_on_from_one_checkpoint_to_the_next() -> None:
    rows = grid("iterations", 3500, 500, 2, 9)
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
    rows = grid("members", 100, 50, 5, 3)
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


Run = tuple[str, list[str], dict[str, Any]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The bundle's runs, none of which takes place: each leaves an untrained member, or a score of 50."""
    made: list[Run] = []

    def bundle(run_id: str, configs: Sequence[str], settings: Mapping[str, Any]) -> float:
        made.append((run_id, list(configs), dict(settings)))
        if run_id == "training":
            architecture = "unet" if "paper.json" in configs else "subpixel_unet"
            save_weights(
                member_network(architecture), settings["ckpt_dir"] / f"member_{settings['member']}.pt"
            )
        else:
            settings["output_dir"].mkdir(parents=True)
            (settings["output_dir"] / "scores.csv").write_text("case,DSC\nmean,50.0\n")
        return 0.0

    monkeypatch.setattr(script, "bundle", bundle)
    return made


def ablate(out: Path, **options: Any) -> str:
    """Runs the ablations; gives their page."""
    ablations(str(out / "healthy"), str(out / "test"), str(out / "out"), lungs_backend="file", **options)
    return (out / "out" / "ablations.md").read_text()


@pytest.mark.parametrize(
    ("configs", "architecture", "lesions", "rule", "rate"),
    [
        ("train", "subpixel_unet", "wide", ["inference.json"], "Table IV trains at a constant rate"),
        (
            "train,paper",
            "unet",
            "paper",
            ["inference.json", "paper_rule.json"],
            "All train at a constant rate",
        ),
    ],
)
def test_the_configs_reach_training_merge_and_inference(
    configs: str, architecture: str, lesions: str, rule: list[str], rate: str, runs: list[Run], tmp_path: Path
) -> None:
    page = ablate(tmp_path, tables="growing", members=1, configs=configs)
    (_, files, training), (run_id, segmenting, settings) = runs[:2]
    assert files == [f"{name}.json" for name in configs.split(",")]
    assert SynthesisSpec(**training["synthesis"]) == SPECS[lesions]
    assert run_id == "evaluating"
    assert segmenting == [*rule, "evaluate.json"]
    assert settings["architecture"] == architecture
    assert len(runs) == 1 + 5  # one training for all rows
    assert rate in page


def test_results_of_other_iterations_are_refused_and_other_tables_are_added(
    runs: list[Run], tmp_path: Path
) -> None:
    ablate(tmp_path, tables="growing", members=1, iterations=100)
    ablate(tmp_path, tables="growing,members", members=1, iterations=100, most_members=2)
    done = len(runs)
    with pytest.raises(InputError, match="another iterations; give another OUTPUT_DIR"):
        ablate(tmp_path, tables="growing", members=1, iterations=50)
    assert len(runs) == done


def test_the_papers_growing_stands_beside_no_number_of_steps(tmp_path: Path) -> None:
    rows = {("growing", steps): 70.0 for steps in ("0", "10", "as far as it goes")}
    write(rows, tmp_path / "page.md", "", "command")
    lines = (tmp_path / "page.md").read_text().splitlines()
    assert "| 0 | 70.0 | 65.5 |" in lines
    assert "| 10 | 70.0 | - |" in lines and "| as far as it goes | 70.0 | - |" in lines
    (note,) = (line for line in lines if "68.7" in line)
    assert note in (Path(bundle_root()) / "docs" / "ablations.md").read_text().splitlines()


def test_the_full_method_is_in_table_v_once() -> None:
    names = [row.name for row in grid_of("generator", 3500, 500, 5, 9, "paper")]
    assert names == ["paper", "fixed_shapes", "fixed_probability_maps", "fixed_salt_noise"]
