"""Averages the weights of ensembles, member by member: of an ensemble and of what a warm start made of it.

python scripts/average_ensembles.py OUTPUT.pt ENSEMBLE.pt WARM_STARTED.pt [...]

Each member ends up between the places where its trainings ended, where most members err less than in any of them, not
all: bundle/docs/networks.md. Members that did not start from the same weights have no such place between them.
"""

import fire
from torch.optim.swa_utils import AveragedModel

from normnet.checkpoints import load_weights, save_weights
from normnet.ensemble import Ensemble
from normnet.errors import InputError, report_input_errors
from normnet.network import ARCHITECTURE
from normnet.starting_weights import count_members


@fire.decorators.SetParseFn(str)
def average_ensembles(output: str, *ensembles: str, architecture: str = ARCHITECTURE) -> None:
    """Writes the averaged weights, in float16 as they are shipped.

    Args:
        output: the weights of the averaged ensemble.
        ensembles: two ensembles' weights or more, of as many members each.
        architecture: of each member.

    Raises:
        InputError: a file is no ensemble's, or one of other members, or there is nothing to average.
    """
    report_input_errors()
    if len(ensembles) < 2:
        raise InputError(f"ensembles: expected two files of weights or more, got {len(ensembles)}.")
    ensemble = Ensemble(count_members(ensembles[0]), architecture)
    averaged = AveragedModel(ensemble, use_buffers=True)
    for path in ensembles:
        averaged.update_parameters(load_weights(ensemble, path))
    save_weights(averaged.module, output, half=True)


if __name__ == "__main__":
    fire.Fire(average_ensembles)
