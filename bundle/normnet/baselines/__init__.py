"""The label-free methods that the paper compares NormNet with (Table III): 2D networks that know healthy slices."""
