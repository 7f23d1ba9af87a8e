"""The rows of a comparison, and the paper's own numbers for them."""

from compare_nnunet import NNUNET, UNSEEN

__all__ = ["METHODS", "NORMNET", "PAPER", "ROWS", "SHIPPED", "WITHOUT_GROWING"]

NORMNET = "normnet"
WITHOUT_GROWING, SHIPPED = f"{NORMNET}_without_growing", f"{NORMNET}_shipped"

METHODS = {
    "bright_lung": "bright lung (no network)",
    "ae": "AE",
    "vae": "VAE",
    "vae_spatial": "VAE Spatial",
    "vae_original": "VAE Original",
    "context_vae": "Context VAE",
    "constrained_vae": "Constrained VAE",
    "gmvae": "GMVAE",
    "bayesian_vae": "Bayesian VAE",
    "kl_gradient": "KL Grad",
    "restoration": "VAE Restoration",
    "f_anogan": "f-AnoGAN",
}
"""The compared methods: their config in configs/baselines, and their name in Table III; the first is not in it."""

ROWS = {
    NNUNET: "nnU-Net, 5-fold (supervised)",
    UNSEEN: "nnU-Net, unseen set (supervised)",
    **METHODS,
    WITHOUT_GROWING: "NormNet without growing",
    NORMNET: "NormNet",
    SHIPPED: "NormNet, the shipped weights",
}

PAPER = {
    NNUNET: (80.1, 80.2, 82.3, 76.7, 77.1, 80.5),
    UNSEEN: (77.1, 81.1, 75.9, 73.9, 66.9, 85.3),
    "ae": (28.3, 21.5, 52.1, 30.3, 24.4, 58.9),
    "vae": (26.4, 19.8, 50.1, 28.1, 21.6, 62.3),
    "vae_spatial": (27.4, 21.0, 49.9, 30.7, 24.8, 59.2),
    "vae_original": (10.9, 6.9, 41.3, 12.3, 8.5, 44.9),
    "context_vae": (29.7, 21.8, 61.0, 32.3, 24.3, 72.2),
    "constrained_vae": (27.9, 21.0, 53.2, 29.2, 22.9, 61.3),
    "gmvae": (25.7, 20.2, 51.0, 28.6, 22.3, 63.3),
    "bayesian_vae": (27.5, 20.8, 50.9, 29.6, 23.5, 58.2),
    "kl_gradient": (9.5, 5.5, 65.5, 10.2, 6.7, 39.1),
    "restoration": (12.8, 16.3, 12.1, 9.1, 16.5, 8.8),
    "f_anogan": (15.4, 10.8, 38.3, 19.7, 14.2, 55.2),
    WITHOUT_GROWING: (65.5, 88.1, 56.2, 54.2, 60.8, 51.3),
    NORMNET: (68.7, 85.1, 62.1, 59.4, 60.4, 61.8),
}
"""Table III of the paper: DSC, PSC, SEN on Coronacases, then on Radiopedia, mean, per cent."""
