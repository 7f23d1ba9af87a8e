"""The rows of the ablations, Tables IV to VI, growing and the number of members."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from compare_plan import LONGEST_EPOCH

from normnet.intensity import HU_WINDOW
from normnet.training import epoch_length

__all__ = ["Setting", "grid"]

BEFORE, AFTER = 3, 2
"""Steps of Table IV before and after the iterations of all other tables: 2000 and 4500 beside the paper's 3500."""


@dataclass(frozen=True)
class Setting:
    """One row of a table.

    Attributes:
        table: a key of `TABLES`.
        name: of the row.
        trained: folder of the weights, under models/.
        iterations: of each member.
        members: which ones vote.
        training: what differs in training.
        segmenting: what differs in inference.
    """

    table: str
    name: str
    trained: str
    iterations: int
    members: tuple[int, ...]
    training: dict[str, Any] = field(default_factory=dict)
    segmenting: dict[str, Any] = field(default_factory=dict)


def grid(
    table: str, iterations: int, step: int, members: int, most: int, synthesis: str
) -> Iterator[Setting]:
    """Lists the rows of a table; rows that need the same weights name the same folder.

    Args:
        table: a key of `TABLES`.
        iterations: of each member.
        step: of Table IV.
        members: of each ensemble.
        most: members that the last table goes up to.
        synthesis: the spec of the full method.
    """
    everyone, (lowest, highest) = tuple(range(members)), HU_WINDOW
    full = f"full_{iterations}"
    if table == "iterations":
        for count in range(max(step, iterations - BEFORE * step), iterations + AFTER * step + 1, step):
            # A rate that does not depend on the last iteration: a longer training then goes on from a shorter one.
            constant = {
                "falling_rate": False,
                "output_dir": "constant",
                "epoch_iterations": epoch_length(step, LONGEST_EPOCH),
            }
            for voters in (*((member,) for member in everyone), everyone):
                who = f"member {voters[0]}" if len(voters) == 1 else "vote"
                yield Setting(table, f"{count}, {who}", f"constant_{count}", count, voters, constant)
    elif table == "generator":
        parts = ("fixed_shapes", "fixed_probability_maps", "fixed_salt_noise")
        for spec in dict.fromkeys(("paper", synthesis, *parts)):
            trained = full if spec == synthesis else f"{spec}_{iterations}"
            yield Setting(table, spec, trained, iterations, everyone, {"synthesis": spec})
    elif table == "threshold":
        for hu in (-700, -600, -500, -400, -300):
            tau = {"tau": (hu - lowest) / (highest - lowest)}
            trained = full if hu == -500 else f"tau_{-hu}_{iterations}"
            yield Setting(table, str(hu), trained, iterations, everyone, tau, tau)
    elif table == "growing":
        for steps in (0, 5, 10, 20, None):
            name = "as far as it goes" if steps is None else str(steps)
            yield Setting(table, name, full, iterations, everyone, segmenting={"growing_steps": steps})
    else:
        for count in range(1, most + 1):
            yield Setting(table, str(count), full, iterations, tuple(range(count)))
