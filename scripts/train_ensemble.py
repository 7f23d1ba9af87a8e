"""Trains the members of the ensemble one after the other and merges them into one model.

python scripts/train_ensemble.py HEALTHY_DIR [--members 5] [--output_dir DIR] [--max_iterations 3500] ...
"""

import subprocess
from pathlib import Path

import fire
from bundle_configs import config_files, setting
from bundle_process import bundle_command

from normnet import bundle_root
from normnet.ensemble import MEMBERS, merge_members
from normnet.errors import InputError, report_input_errors


@fire.decorators.SetParseFns(dataset_dir=str, ckpt_dir=str, output_dir=str, configs=str)
def train_ensemble(
    dataset_dir: str,
    members: int = MEMBERS,
    ckpt_dir: str | None = None,
    output_dir: str | None = None,
    configs: str = "train",
    **overrides: object,
) -> None:
    """Trains members 0, 1, ... through `python -m monai.bundle run training` and writes CKPT_DIR/model.pt.

    A member whose weights are there is skipped; one that was stopped goes on from its last checkpoint. So other CTs or
    configs want folders of their own. By default the merged weights take the place of the bundle's.

    Args:
        dataset_dir: folder of healthy CTs, or of a dataset.json.
        members: how many, 1 at least.
        ckpt_dir: where the weights go; the bundle's models folder by default.
        output_dir: where checkpoints, curves and the cache go; the bundle's runs folder by default.
        configs: names of the configs, with commas: train, or train,scanners for variation of scanners, or
            train,paper for the paper's own setting.
        overrides: anything in the configs, by name, such as --max_iterations 1000.
    """
    report_input_errors()
    if not isinstance(members, int) or members < 1:
        raise InputError(f"--members: expected a whole number of at least 1, found {members!r}.")
    weights = Path(ckpt_dir or Path(bundle_root()) / "models")
    runs = Path(output_dir or Path(bundle_root()) / "runs")
    files = config_files(configs)
    architecture = str(overrides.get("architecture", setting(files, "architecture")))
    settings = {
        "dataset_dir": Path(dataset_dir).resolve(),
        "ckpt_dir": weights.resolve(),
        "output_dir": runs.resolve(),
        **overrides,
    }
    paths = [weights / f"member_{member}.pt" for member in range(members)]
    for member, path in enumerate(paths):
        if path.is_file():
            print(f"Member {member} is trained already: {path}")
            continue
        command = bundle_command("training", files, {**settings, "member": member})
        if subprocess.run(command, check=False).returncode != 0 or not path.is_file():
            raise InputError(f"{path}: member {member} was not trained; its own message stands above.")
    merge_members(paths, weights / "model.pt", architecture=architecture)
    print(f"The ensemble of {members}: {weights / 'model.pt'}")


if __name__ == "__main__":
    fire.Fire(train_ensemble)
