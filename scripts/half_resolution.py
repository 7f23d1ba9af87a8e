"""Twice the paper's voxel size, for a CPU: the settings of the demo, and of --half_resolution in the comparisons."""

__all__ = ["HALF_KERNELS", "HALF_RESOLUTION"]

HALF_RESOLUTION = {
    "spacing": [1.6, 1.6, 2.0],
    "patch_size": [96, 96, 32],
    "learning_rate": 0.002,
    "synthesis": {
        "small_radius": [2, 5],
        "medium_radius": [5, 16],
        "large_radius": [16, 32],
        "probability_sigma": [1, 10],
        "fine_sigma": [0.5, 1.0],
        "coarse_sigma": [1.0, 2.5],
    },
}
"""Training at twice the paper's voxel size: lengths in voxels are halved. The rate suits so few iterations."""

HALF_KERNELS = {
    "spacing": [1.6, 1.6, 2.0],
    "healthy_probability": 0.95,
    "bright_threshold": 0.2,
    "bright_kernel": 5,
    "full_kernel": 3,
    "growing_steps": 50,
    "edge_depth": 0,
}
"""The paper's post-processing at twice its voxel size, but by the mean of the logits, growing as far as it goes and
with a rim at the pleura, as inference.json does. Few iterations make no network surer than 0.95."""
