"""Networks that make images (tensors in, tensors out), the course from image to noise, and the ways back."""
