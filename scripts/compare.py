"""Trains every method of Table III on one set of healthy CTs, scores all alike on labelled sets, writes the page.

python scripts/compare.py HEALTHY_DIR TEST_DIR[,TEST_DIR] OUTPUT_DIR [--iterations 6000] [--methods ae,vae,...]

The paper's own setting: --configs train,paper --member_iterations 3500
"""

import json
import resource
from dataclasses import asdict
from pathlib import Path

import fire
from bundle_configs import CONFIGS, config_files, rule_files, setting
from bundle_process import bundle, run_script
from compare_methods import METHODS, NORMNET, SHIPPED, WITHOUT_GROWING
from compare_nnunet import NNUNET, UNSEEN
from compare_page import Budget, Comparison, Scores, page
from compare_pictures import draw_cases
from compare_plan import LONGEST_EPOCH, Plan, minutes, named_sets, note_minutes, scores, segmented
from half_resolution import HALF_KERNELS, HALF_RESOLUTION
from kept_settings import keep_settings
from shared_lungs import with_lungs
from tqdm import tqdm

from normnet import bundle_root
from normnet.baselines.threshold import chosen_threshold, mask_folder, threshold_for_folder
from normnet.ensemble import merge_members
from normnet.errors import InputError, report_input_errors
from normnet.studies import find_studies
from normnet.training import epoch_length
from normnet.whole_file import written_whole

PAPER_ITERATIONS = 6000
"""Of each compared method (IV-C)."""


@fire.decorators.SetParseFns(
    healthy_dir=str,
    test_dirs=str,
    output_dir=str,
    configs=str,
    lungs_backend=str,
    page_path=str,
    about=str,
    command=str,
)
def compare(
    healthy_dir: str,
    test_dirs: str,
    output_dir: str,
    iterations: int = PAPER_ITERATIONS,
    members: int = 5,
    member_iterations: int | None = None,
    configs: str = "train",
    methods: str | tuple[str, ...] = tuple(METHODS),
    learning_rate: float = 3e-4,
    restoration_renewal: int = 1,
    lungs_backend: str = "joined",
    half_resolution: bool = False,
    supervised: bool = True,
    nnunet_small: bool = False,
    shipped: bool = False,
    page_path: str | None = None,
    about: str = "",
    command: str = "python scripts/compare.py HEALTHY_DIR TEST_DIRS OUTPUT_DIR ...",
    settings: dict[str, object] | None = None,
) -> None:
    """Compares the methods; what is done already is not done again, a stopped training goes on.

    A folder with results of other settings is refused; other methods and sets are added.

    Args:
        healthy_dir: healthy CTs; the last ones validate, and choose the thresholds with synthetic lesions.
        test_dirs: folders of CTs with their `<case>_lesions` masks, one for each set, with commas.
        output_dir: weights, results, scores.
        iterations: of each method, of all members of NormNet together, and of each of nnU-Net's folds: 6000 are the
            paper's for the others (IV-C).
        members: networks of NormNet.
        member_iterations: of each member, in the place of its share of `iterations`; the paper's are 3500 (IV-B3).
        configs: of NormNet's training, with commas: train, or train,paper for the paper's own setting, which is then
            segmented by the paper's rule, too.
        methods: which ones, with commas; `normnet` is always one.
        learning_rate: of the compared methods; 3e-4 is the paper's. NormNet and nnU-Net have their own.
        restoration_renewal: of VAE Restoration; 5 takes a fifth of the time, which is hours on a CPU.
        lungs_backend: of the lungs that all methods see, found once for each CT; `file` takes the masks beside the CTs.
        half_resolution: the settings of the demo: twice the paper's voxel size.
        supervised: whether nnU-Net is trained, too: it wants at least 5 CTs in each set.
        nnunet_small: whether nnU-Net gets the small plan, for a CPU.
        shipped: whether the bundle's own weights get a row, at the bundle's own resolution.
        page_path: the page that is written; OUTPUT_DIR/comparison.md by default.
        about: what the page says of the data.
        command: that the page names.
        settings: for all configs, by name, such as {"num_workers": 0}.
    """
    report_input_errors()
    names = methods.split(",") if isinstance(methods, str) else list(methods)
    unknown = sorted(set(names) - set(METHODS))
    if unknown:
        raise InputError(f"--methods: expected some of {', '.join(METHODS)}, got {', '.join(unknown)}.")
    out = Path(output_dir).resolve()
    healthy, sets = Path(healthy_dir).resolve(), named_sets(test_dirs)
    files = config_files(configs)
    budget = Budget(
        iterations=iterations,
        members=members,
        member_iterations=member_iterations or max(1, iterations // members),
        configs=configs,
        learning_rate=learning_rate,
        restoration_renewal=restoration_renewal,
        nnunet_small=nnunet_small,
        lungs_backend=lungs_backend,
    )
    kept = {"healthy_dir": healthy, "half_resolution": half_resolution, "settings": settings}
    keep_settings(out, {**kept, **asdict(budget)}, "cts", "models", "runs", "nnunet")
    for name, folder in sets.items():
        keep_settings(out / name, {"test_dir": folder}, "*/results")
    healthy, tests = with_lungs(healthy, sets, out / "cts", lungs_backend)
    training = dict(HALF_RESOLUTION) if half_resolution else {}
    plan = Plan(
        healthy=healthy,
        tests=tests,
        out=out,
        iterations=iterations,
        members=members,
        member_iterations=budget.member_iterations,
        files=files,
        rule=rule_files(configs),
        learning_rate=learning_rate,
        restoration_renewal=restoration_renewal,
        shared={key: training[key] for key in ("spacing",) if key in training}
        | {"lungs_backend": "file"}
        | (settings or {}),
        synthesis={key: training[key] for key in ("synthesis",) if key in training},
        training=training,
        segmenting=dict(HALF_KERNELS) if half_resolution else {},
    )
    compared: dict[str, Comparison] = {}
    steps = [*([NNUNET] if supervised else []), *names, NORMNET, *([SHIPPED] if shipped else [])]
    bar = tqdm(steps, desc="Comparing", unit="method")
    for name in bar:
        bar.set_postfix_str(name)
        if name == NNUNET:
            compared |= compare_nnunet(plan, nnunet_small)
        elif name == NORMNET:
            compared |= compare_normnet(plan)
        elif name == SHIPPED:
            compared[SHIPPED] = compare_shipped(plan)
        else:
            compared[name] = compare_baseline(name, plan)
    cases = {name: len(find_studies(folder)) for name, folder in tests.items()}
    path = Path(page_path) if page_path else plan.out / "comparison.md"
    pictures = draw_cases(plan, path.parent / "pictures")
    with written_whole(path) as beside:
        beside.write_text(page(compared, cases, budget, about, command, pictures), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def compare_baseline(name: str, plan: Plan) -> Comparison:
    """Trains, calibrates, segments and scores one method."""
    configs = ["baseline.json", f"baselines/{name}.json"]
    overlay = json.loads((CONFIGS / configs[1]).read_text())
    trained_as = overlay.get("trained_as", name)
    weights, threshold_path = plan.weights / f"{trained_as}.pt", plan.weights / f"{name}_threshold.json"
    settings = {
        **plan.shared,
        **plan.synthesis,
        "max_iterations": plan.iterations,
        "ckpt_dir": plan.weights,
        "output_dir": plan.out / "runs",
        "learning_rate": plan.learning_rate,
    }
    if name == "restoration":
        settings["network_def::renewal"] = plan.restoration_renewal
    if overlay.get("weights", "") is not None and not weights.is_file():
        note_minutes(plan, trained_as, bundle("training", configs, {**settings, "dataset_dir": plan.healthy}))
    if not threshold_path.is_file():
        bundle("calibrating", configs, {**settings, "dataset_dir": plan.healthy})
    threshold = chosen_threshold(threshold_path)
    sets = {}
    for of, test in plan.tests.items():
        folder = plan.out / of / name
        if not segmented(test, folder / "results", "anomaly"):
            bundle(
                "segmenting", configs, {**settings, "dataset_dir": test, "results_dir": folder / "results"}
            )
        found = folder / "best_threshold.json"
        if not found.is_file():
            best, _ = threshold_for_folder(folder / "results", test)
            mask_folder(folder / "results", best, folder / "best")
            found.write_text(json.dumps(best), encoding="utf-8")
        sets[of] = Scores(
            label_free=scores(plan, of, folder / "results"),
            best=scores(plan, of, folder / "best"),
            thresholds=(threshold, float(json.loads(found.read_text()))),
        )
    return Comparison(sets, minutes(plan, trained_as))


def compare_normnet(plan: Plan) -> dict[str, Comparison]:
    """Trains NormNet's members, and scores it with and without growing; its thresholds are fixed."""
    model = plan.weights / "model.pt"
    given = {**plan.shared, **plan.training}
    architecture = given.get("architecture", setting(plan.files, "architecture"))
    if not model.is_file():
        options = {
            **given,
            "max_iterations": plan.member_iterations,
            "ckpt_dir": plan.weights,
            "output_dir": plan.out / "runs",
            "dataset_dir": plan.healthy,
        }
        members = [plan.weights / f"member_{member}.pt" for member in range(plan.members)]
        for member, path in enumerate(members):
            if not path.is_file():
                note_minutes(plan, NORMNET, bundle("training", plan.files, {**options, "member": member}))
        merge_members(members, model, architecture=str(architecture))
    settings = {
        "architecture": architecture,
        "members": plan.members,
        "checkpoint": model,
        **plan.segmenting,
        **plan.shared,
    }
    return {
        WITHOUT_GROWING: segment(plan, WITHOUT_GROWING, plan.rule, {**settings, "growing_steps": 0}),
        NORMNET: segment(plan, NORMNET, plan.rule, settings),
    }


def compare_shipped(plan: Plan) -> Comparison:
    """Scores the bundle's own weights, by the bundle's own rule."""
    settings = {key: value for key, value in plan.shared.items() if key not in ("spacing", "architecture")}
    settings["checkpoint"] = Path(bundle_root()) / "models" / "model.pt"
    return segment(plan, SHIPPED, ["inference.json"], settings)


def segment(plan: Plan, name: str, rule: list[str], settings: dict[str, object]) -> Comparison:
    """Segments every set by an ensemble, and scores it."""
    sets = {}
    for of, test in plan.tests.items():
        results = plan.out / of / name / "results"
        if not segmented(test, results, "lesion"):
            bundle("run", rule, {**settings, "output_dir": results, "dataset_dir": test})
        sets[of] = Scores(scores(plan, of, results))
    return Comparison(sets, None if name == SHIPPED else minutes(plan, NORMNET))


def compare_nnunet(plan: Plan, small: bool) -> dict[str, Comparison]:
    """Trains nnU-Net on the labels, and scores its folds and, with two sets, the folds of the other set."""
    names = [NNUNET, *([UNSEEN] if len(plan.tests) == 2 else [])]
    results = {name: {of: plan.out / of / name / "results" for of in plan.tests} for name in names}
    done = all(
        segmented(plan.tests[of], path, "lesion") for rows in results.values() for of, path in rows.items()
    )
    if not done:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        length = epoch_length(plan.iterations, LONGEST_EPOCH)
        run_script(
            "compare_nnunet.py",
            ",".join(map(str, plan.tests.values())),
            plan.out,
            iterations=length,
            epochs=-(-plan.iterations // length),
            small=small,
            lungs_backend=plan.shared["lungs_backend"],
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        note_minutes(plan, NNUNET, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60)
    return {
        name: Comparison(
            {of: Scores(scores(plan, of, path)) for of, path in rows.items()}, minutes(plan, NNUNET)
        )
        for name, rows in results.items()
    }


if __name__ == "__main__":
    fire.Fire(compare)
