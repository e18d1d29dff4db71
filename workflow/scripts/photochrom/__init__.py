"""Photochrom: colour photographs to a colorization model, an archive to colorized derivatives."""
