"""Only the sentence of an input error reaches the user, however deeply MONAI has wrapped it."""

import subprocess
import sys

from normnet.errors import InputError, input_error_in


def test_the_sentence_is_found_behind_wrappers() -> None:
    try:
        try:
            raise InputError("a.nii: no.")
        except InputError as error:
            raise RuntimeError("applying transform") from error
    except RuntimeError as error:
        assert str(input_error_in(error)) == "a.nii: no."
    assert input_error_in(RuntimeError("other")) is None


def run(code: str) -> subprocess.CompletedProcess[str]:
    program = f"from normnet.errors import *\nreport_input_errors()\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_a_command_ends_with_the_sentence_and_code_1() -> None:
    finished = run(
        "try:\n    raise InputError('a.nii: no.')\nexcept InputError as e:\n    raise RuntimeError() from e"
    )
    assert (finished.returncode, finished.stderr) == (1, "error: a.nii: no.\n")


def test_other_errors_keep_their_traceback() -> None:
    finished = run("raise RuntimeError('bug')")
    assert finished.returncode == 1 and "Traceback" in finished.stderr and "bug" in finished.stderr
