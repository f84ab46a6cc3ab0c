"""What is superfluous, how it is removed, and the care of the store itself."""
