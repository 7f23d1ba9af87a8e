"""`python -m generator COMMAND ...`"""

import sys

import fire
from nibabel.filebasedimages import ImageFileError

from generator.cohort import write_cohort
from generator.preview import preview

if __name__ == "__main__":
    # A folder named by a number is a name, whatever Fire takes it for.
    chests = fire.decorators.SetParseFns(output_dir=str)(write_cohort)
    try:
        fire.Fire({"preview": preview, "chests": chests})
    except (ValueError, OSError, ImageFileError) as error:
        sys.exit(f"error: {error}")
