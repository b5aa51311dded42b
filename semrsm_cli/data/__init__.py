"""Sets of images in their native layouts."""
