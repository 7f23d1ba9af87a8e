"""What the app adds to MONAI Label; all image processing is the bundle's."""
