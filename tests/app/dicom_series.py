"""A generated chest as a DICOM series that a PACS takes, with every tag that one asks for."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def write_series(
    folder: Path,
    ct: np.ndarray,
    spacing: tuple[float, float, float],
    *,
    patient: str = "Generated^Chest",
    orientation: tuple[float, ...] = AXIAL,
) -> str:
    """Writes (X, Y, Z) HU in RAS as axial slices; names do not follow the position. Returns the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    lps = np.round(ct[::-1, ::-1]).astype(np.int16)  # DICOM's x and y run to the left and to the back.
    slice_normal = np.cross(orientation[:3], orientation[3:])
    for index in range(lps.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        file = folder / f"{index * 7 % lps.shape[2]:04d}.dcm"
        header = FileDataset(str(file), {}, file_meta=meta, preamble=bytes(128))
        header.is_little_endian, header.is_implicit_VR = True, False
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.PatientID, header.PatientName, header.PatientBirthDate, header.PatientSex = (
            patient,
            patient,
            "",
            "",
        )
        header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = (
            "20200401",
            "120000",
            "1",
            "",
        )
        header.ReferringPhysicianName, header.Manufacturer, header.PositionReferenceIndicator = "", "", ""
        header.Modality, header.ImageType, header.SeriesNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 1
        header.SeriesDescription, header.InstanceNumber = "generated chest", index + 1
        header.ImagePositionPatient = [
            float(x) for x in slice_normal * spacing[2] * index - (120.0, 110.0, 80.0)
        ]
        header.ImageOrientationPatient = list(orientation)
        header.PixelSpacing, header.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        header.Columns, header.Rows = lps.shape[:2]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, 0, "HU"
        header.PixelData = np.ascontiguousarray(lps[:, :, index].T).astype("<i2").tobytes()
        header.save_as(file, write_like_original=False)
    return str(series)


def instances(folder: Path) -> set[str]:
    """The SOP instance UIDs of a series."""
    return {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in folder.iterdir()}
