"""Writes some members of an ensemble as an ensemble of their own, such as those that have not seen a scan, to score it.

python scripts/some_members.py MODEL.pt OUTPUT.pt --members 0,1,2
"""

import fire

from normnet.checkpoints import save_weights
from normnet.ensemble import Ensemble
from normnet.errors import InputError, report_input_errors
from normnet.network import ARCHITECTURE
from normnet.starting_weights import count_members, member_of_ensemble


@fire.decorators.SetParseFns(str, str, members=str, architecture=str)
def some_members(checkpoint: str, output: str, *, members: str, architecture: str = ARCHITECTURE) -> None:
    """Writes the chosen members, in float16 as they are shipped.

    Args:
        checkpoint: the ensemble's weights.
        output: the weights of the new ensemble.
        members: their numbers, from 0, with commas.
        architecture: of each member.

    Raises:
        InputError: the file is no ensemble's, or has no such member.
    """
    report_input_errors()
    numbers = members.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise InputError(
            f"--members: expected numbers from 0 to {count_members(checkpoint) - 1}, got {members!r}."
        )
    chosen = [int(number) for number in numbers]
    ensemble = Ensemble(len(chosen), architecture)
    for place, number in enumerate(chosen):
        ensemble.members[place] = member_of_ensemble(checkpoint, number, architecture)
    save_weights(ensemble, output, half=True)


if __name__ == "__main__":
    fire.Fire(some_members)
