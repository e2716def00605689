"""The program of the image: what a timer or the container's own scheduler runs, with the modules' own code."""
