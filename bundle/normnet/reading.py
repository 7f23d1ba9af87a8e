"""Reads one chest CT in HU from NIfTI, NRRD, MetaImage or DICOM, or says in one sentence why it cannot."""

import gzip
import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import itk
import numpy as np
import SimpleITK as sitk
import torch
from monai.config import KeysCollection
from monai.data import ITKReader, MetaTensor, NibabelReader
from monai.transforms import MapTransform
from monai.utils import MetaKeys, SpaceKeys

from normnet.before_itk import META_IMAGE, check_compressed, check_meta_image, check_name
from normnet.dicom import ct_series, is_dicom
from normnet.errors import InputError
from normnet.hounsfield import in_hounsfield
from normnet.studies import EXTENSIONS, NIFTI

__all__ = ["LoadCTd", "read_ct", "read_volume"]

SPACING_MM = (0.2, 10.0)
"""Smallest and largest voxel of a chest CT along any axis, mm."""

ROUNDING = 1e-3
"""Of a voxel's size: what headers round."""

LARGEST_SHEAR = 0.01
"""Cosine between two axes (0.6 degrees); also how far the last slice may lie off, in lengths of the stack."""


def read_ct(path: str | Path) -> MetaTensor:
    """Reads one CT volume, as it lies in its file, with padding set to -1024 HU (`normnet.hounsfield`).

    Args:
        path: a NIfTI, NRRD, MHA or MHD file, a DICOM folder of one series, or a multi-frame DICOM file.

    Returns:
        (1, X, Y, Z) float32, HU, with x fastest in memory, as files have it and the steps on its grid want it; its
        affine leads to RAS world coordinates in mm, and meta["filename_or_obj"] is the path.

    Raises:
        InputError: when the path holds anything but one whole 3D chest CT in HU.
    """
    volume = read_volume(path)
    _check_grid(volume.affine.numpy(), Path(path))
    volume.set_array(torch.from_numpy(in_hounsfield(volume[0].numpy(), Path(path)))[None])
    return volume


def read_volume(path: str | Path, *, thinnest: int = 2) -> MetaTensor:
    """Reads one 3D volume of any values: see `read_ct`, but for the checks of HU and spacing.

    Args:
        path: as for `read_ct`.
        thinnest: least voxels along each axis.

    Raises:
        InputError: when the path does not hold one whole 3D volume.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: expected a volume, but there is no such file or folder.")
    if path.is_dir() or is_dicom(path):
        array, affine = _read_dicom(path)
    elif path.name.lower().endswith(NIFTI):
        array, affine = _read_nifti(path)
    elif path.name.lower().endswith(EXTENSIONS):
        array, affine = _read_itk(path)
    else:
        raise InputError(f"{path}: expected DICOM or a file {', '.join(EXTENSIONS)}, got {path.name!r}.")
    _check_shape(array.shape, path, thinnest)
    array = np.array(array.reshape(array.shape[:3]), dtype=np.float32, order="F")
    meta = {
        MetaKeys.ORIGINAL_AFFINE: affine.copy(),
        MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape),
        MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.AFFINE: torch.from_numpy(affine),
        "filename_or_obj": str(path),
    }
    return MetaTensor(torch.from_numpy(array)[None], meta=meta)


class LoadCTd(MapTransform):
    """Replaces the path of a CT by its volume, (1, X, Y, Z) in HU: see `read_ct`.

    Args:
        keys: where the paths are.
        allow_missing_keys: whether items without the key pass.
    """

    def __init__(self, keys: KeysCollection = ("image",), allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            data[key] = read_ct(data[key])
        return data


@contextmanager
def _readers(path: Path) -> Iterator[None]:
    """Keeps the readers quiet and makes one sentence of their exceptions, whose messages run over pages."""
    # ITK loads its parts at first use and crashes the interpreter there where warnings are errors.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (InputError, MemoryError):
            raise
        except Exception as error:
            raise InputError(
                f"{path}: expected a whole volume, but it cannot be read: the file is truncated, corrupt, "
                "lacks a part or is not what its name says."
            ) from error


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """Keeps ITK from printing; only for what ITK reads, since the first use of ITK loads it."""
    loud = itk.ProcessObject.GetGlobalWarningDisplay()
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        itk.ProcessObject.SetGlobalWarningDisplay(loud)


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader = NibabelReader()
    with _readers(path):
        image = reader.read(path)
        _check_shape(image.shape, path)
        if not (image.header["sform_code"] or image.header["qform_code"]):
            raise InputError(f"{path}: expected an orientation, but sform_code and qform_code are both 0.")
        array = _nifti_values(image, path)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{path}: expected one number per voxel, got the type {array.dtype}.")
    return array, np.asarray(image.affine, dtype=float)


def _nifti_values(image: Any, path: Path) -> np.ndarray:
    if path.suffix.lower() != ".gz":
        return np.asanyarray(image.dataobj)
    # Left to itself, nibabel stops after the last voxel, before the checksum.
    with gzip.open(path) as file:
        values = np.asanyarray(type(image).from_stream(file).dataobj)
        file.read()
    return values


def _read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    check_name(path)
    reader, header = ITKReader(), sitk.ImageFileReader()
    with _readers(path), _quiet_itk():
        if path.suffix.lower() in META_IMAGE:
            check_meta_image(path)
            # Left to choose, ITK knows them by endings in small letters.
            header.SetImageIO("MetaImageIO")
            reader = ITKReader(imageio=itk.MetaImageIO.New())
        header.SetFileName(str(path))
        header.ReadImageInformation()
        parts = header.GetNumberOfComponents()
        _check_shape((*header.GetSize(), parts) if parts > 1 else header.GetSize(), path)
        # Without patient axes ITK makes up left-posterior-superior: left and right would be a guess.
        if path.suffix.lower() in (".nrrd", ".nhdr"):
            space = header.GetMetaData("NRRD_space") if header.HasMetaDataKey("NRRD_space") else "missing"
            if space != "left-posterior-superior":  # ITK turns the other patient axes into it.
                raise InputError(f"{path}: expected a 'space' of patient axes in the header, it is {space}.")
        check_compressed(path)
        array, meta = reader.get_data(reader.read(path))
    return array, np.asarray(meta[MetaKeys.AFFINE], dtype=float)


def _read_dicom(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with _readers(path), _quiet_itk():
        series = ct_series(path)
        for file in series.files:
            check_name(file)
        files = [str(file) for file in series.files]
        # ITKReader, given the folder, drops slices that it cannot decode, splits a series by slice thickness,
        # averages gaps and takes the first slice's voxel type for all: hence sorted files, as float32.
        try:
            image = _decode(files if len(files) > 1 else files[0])
        except RuntimeError as error:
            raise InputError(
                f"{_undecodable(files)}: expected the pixels of a CT slice, but they cannot be decoded: "
                "the file is truncated or corrupt."
            ) from error
        array, meta = ITKReader().get_data(image)
    _check_shape(array.shape, path)
    affine = np.asarray(meta[MetaKeys.AFFINE], dtype=float)
    count = array.shape[2]
    if count != len(series.positions):
        raise InputError(f"{path}: expected {len(series.positions)} slices, got {count}.")
    # ITK always stacks along the normal of the slices: a tilted gantry would go unseen.
    stack = affine[:3, 2] * (count - 1)
    found = (series.positions[-1] - series.positions[0]) * (-1, -1, 1)  # DICOM is LPS
    offset = float(np.linalg.norm(stack - found))
    if offset > LARGEST_SHEAR * float(np.linalg.norm(found)):
        raise InputError(
            f"{path}: expected slices stacked at right angles, but the last one lies {offset:.1f} mm off "
            "(a tilted gantry?)."
        )
    return array, affine


def _decode(files: list[str] | str) -> Any:
    # Left to choose, ITK loads its readers of every other format before it gives up on a damaged slice.
    return itk.imread(files, itk.F, imageio=itk.GDCMImageIO.New())


def _undecodable(files: list[str]) -> str:
    """Finds the first file that does not decode on its own; ITK does not always name it."""
    for file in files:
        try:
            _decode(file)
        except RuntimeError:
            return file
    return str(Path(files[0]).parent)


def _check_shape(shape: tuple[int, ...], path: Path, thinnest: int = 1) -> None:
    """Raises InputError unless there are three axes of so many voxels, and no others longer than one."""
    if len(shape) < 3 or min(shape[:3]) < thinnest or max(shape[3:], default=1) > 1:
        raise InputError(f"{path}: expected one 3D volume, got shape {' x '.join(map(str, shape))}.")


def _check_grid(affine: np.ndarray, path: Path) -> None:
    """Raises InputError unless the axes are at right angles and the voxels of a size that CTs have."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = SPACING_MM
    inside = (spacing > low * (1 - ROUNDING)) & (spacing < high * (1 + ROUNDING))
    if not np.isfinite(affine).all() or not inside.all():
        raise InputError(
            f"{path}: expected a voxel spacing of {low:g} to {high:g} mm, "
            f"got {' x '.join(f'{size:.4g}' for size in spacing)}."
        )
    axes = affine[:3, :3] / spacing
    cosine = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if cosine > LARGEST_SHEAR:
        angle = 90 - np.degrees(np.arccos(min(cosine, 1.0)))
        raise InputError(f"{path}: expected axes at right angles, got a shear of {angle:.1f} degrees.")
