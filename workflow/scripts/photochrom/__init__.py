"""Photochrom: colour photographs to a colorization model, an archive to colorized derivatives."""

import os

# Read by libvips as it starts: its warnings are not for the screen. What is wrong with a picture is
# its row's reason.
os.environ.setdefault("VIPS_WARNING", "1")
