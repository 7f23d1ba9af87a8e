"""`python -m generator COMMAND ...`"""

import sys

import fire
from nibabel.filebasedimages import ImageFileError

from generator.cohort import write_cohort
from generator.preview import preview

if __name__ == "__main__":
    try:
        fire.Fire({"preview": preview, "chests": write_cohort})
    except (ValueError, OSError, ImageFileError) as error:
        sys.exit(f"error: {error}")
