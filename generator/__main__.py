"""`python -m generator COMMAND ...`"""

import fire

from generator.cohort import write_cohort
from generator.preview import preview

if __name__ == "__main__":
    fire.Fire({"preview": preview, "chests": write_cohort})
