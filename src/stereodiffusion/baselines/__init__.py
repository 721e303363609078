"""What the method is compared with: each takes the left view and its disparity and gives the right view."""
