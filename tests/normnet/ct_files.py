"""Small CT files in every format, for the tests of reading.

The phantom, 16 x 14 x 8 voxels of 0.8 x 0.7 x 2 mm, is tissue of 40 HU in air around a lung of -850 HU.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SPACING = (0.8, 0.7, 2.0)
ORIGIN_LPS = (-10.0, -12.0, 5.0)
AFFINE = np.array([[-0.8, 0, 0, 10], [0, -0.7, 0, 12], [0, 0, 2, 5], [0, 0, 0, 1]])
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def phantom() -> np.ndarray:
    ct = np.full((16, 14, 8), -1000, dtype=np.int16)
    ct[3:13, 3:11] = 40
    ct[5:8, 5:9] = -850
    return ct + np.random.default_rng(0).integers(-20, 21, ct.shape).astype(np.int16)


def write_slices(
    folder: Path,
    ct: np.ndarray,
    *,
    rescale: Sequence[tuple[float, float]] = ((1.0, -1024.0),),
    positions: Sequence[Sequence[float]] | None = None,
    orientation: Sequence[float] = AXIAL,
    edit: Callable[[int, Dataset], None] = lambda index, header: None,
) -> list[Path]:
    """Writes an uncompressed CT series; neither file names nor instance numbers follow the position."""
    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    files = []
    for index in range(ct.shape[2]):
        slope, intercept = rescale[index % len(rescale)]
        stored = np.round((ct[:, :, index].T - intercept) / slope).astype("<u2")
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        file = folder / f"IM{index * 5 % ct.shape[2]:03d}"
        header = FileDataset(file, {}, file_meta=meta, preamble=bytes(128))
        header.is_little_endian, header.is_implicit_VR = True, False
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.StudyInstanceUID, header.SeriesInstanceUID = study, series
        header.Modality, header.SeriesDescription, header.ImageType = "CT", "chest", ["ORIGINAL", "PRIMARY"]
        header.InstanceNumber = index * 3 % ct.shape[2]
        header.ImagePositionPatient = list(
            positions[index] if positions else (*ORIGIN_LPS[:2], 5.0 + 2 * index)
        )
        header.ImageOrientationPatient = list(orientation)
        header.PixelSpacing, header.SliceThickness = [SPACING[1], SPACING[0]], 2
        header.Rows, header.Columns = stored.shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
        header.RescaleSlope, header.RescaleIntercept = slope, intercept
        header.PixelData = stored.tobytes()
        edit(index, header)
        header.save_as(file, write_like_original=False)
        files.append(file)
    return files


def write_enhanced(
    file: Path,
    ct: np.ndarray,
    heights: Sequence[float],
    rescales: Sequence[float | None] = (-1024.0,),
    orientations: Mapping[int, Sequence[float]] = MappingProxyType({}),
    spacings: Mapping[int, Sequence[float]] = MappingProxyType({}),
) -> None:
    """Writes a multi-frame CT; `orientations` and `spacings` are those of single frames that differ."""
    slices: list[Dataset] = []
    (single,) = write_slices(
        file.parent / "single", ct[:, :, :1], edit=lambda index, header: slices.append(header)
    )
    single.unlink()
    single.parent.rmdir()
    header = slices[0]
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = header.PixelSpacing, 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    frames = []
    for index, height in enumerate(heights):
        frame, place, rescale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [*ORIGIN_LPS[:2], height]
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, rescales[index % len(rescales)]
        rescale.RescaleType = "HU"
        if index in orientations:
            turn = Dataset()
            turn.ImageOrientationPatient = list(orientations[index])
            frame.PlaneOrientationSequence = [turn]
        if index in spacings:
            size = Dataset()
            size.PixelSpacing = list(spacings[index])
            frame.PixelMeasuresSequence = [size]
        frame.PlanePositionSequence = [place]
        if rescale.RescaleIntercept is not None:
            frame.PixelValueTransformationSequence = [rescale]
        frames.append(frame)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(header, name)
    del header.RescaleSlope, header.RescaleIntercept
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], frames
    header.NumberOfFrames = len(frames)
    header.PixelData = (ct.T + 1024).astype("<u2").tobytes()
    header.save_as(file, write_like_original=False)


def write_nifti(file: Path, ct: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(ct, affine), file)
    return file


def write_itk(file: Path, ct: np.ndarray, *, compressed: bool = False) -> Path:
    image = sitk.GetImageFromArray(ct.T)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN_LPS)
    sitk.WriteImage(image, str(file), useCompression=compressed)
    return file
